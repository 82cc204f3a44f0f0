/** Addresses inside the console: `#/order/default/shop`, `#/models/default/shop`. */
export interface Route {
  page: "order" | "models";
  namespace: string;
  name: string;
}

export function routeOf(hash: string): Route {
  const [, page, namespace = "", name = ""] = hash.split("/").map(decodeURIComponent);
  return { page: page === "models" ? "models" : "order", namespace, name };
}

export function addressOf({ page, namespace, name }: Route): string {
  return `#/${[page, namespace, name].map(encodeURIComponent).join("/")}`;
}
