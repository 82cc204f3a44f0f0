/** What insights answers: products and customers to choose from, key figures over time. */
import type { components } from "../generated/insights.ts";
import { getJson } from "./http.ts";

type Schemas = components["schemas"];
export type Product = Schemas["ProductFound"];
export type Customer = Schemas["CustomerFound"];
export type KpiRow = Pick<Schemas["KpiRow"], "start" | "version" | "arm" | "lists" | "clicked_lists">;

export async function findProducts(base: string, query: string, limit: number, signal: AbortSignal): Promise<Product[]> {
  const answer = await getJson<{ products: Product[] }>(`${base}/v1/products?${search({ query, limit })}`, signal);
  return answer.products;
}

export async function findCustomers(base: string, query: string, limit: number, signal: AbortSignal): Promise<Customer[]> {
  const answer = await getJson<{ customers: Customer[] }>(`${base}/v1/customers?${search({ query, limit })}`, signal);
  return answer.customers;
}

export async function kpis(base: string, from: Date, to: Date, by: "minute" | "day", signal: AbortSignal): Promise<KpiRow[]> {
  const range = { from: from.toISOString(), to: to.toISOString(), by };
  const answer = await getJson<{ rows: KpiRow[] }>(`${base}/v1/kpis?${search(range)}`, signal);
  return answer.rows;
}

function search(values: Record<string, string | number>): string {
  return new URLSearchParams(Object.entries(values).map(([key, value]) => [key, String(value)])).toString();
}
