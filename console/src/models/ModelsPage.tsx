export function ModelsPage(_: { config: unknown; model: unknown }) {
  return <main />;
}
