// Products and customers for the order entry form, read from a generated shop's canonical tables (development only;
// in the product insights answers these from the artifact and the live state).
import { join } from "node:path";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";

async function table(folder, name) {
  return parquetReadObjects({ file: await asyncBufferFromFile(join(folder, `${name}.parquet`)), compressors });
}

const money = (value) => (value === null ? null : value.toFixed(2));

export async function readShop(folder) {
  const [products, categories, customers, orders, stock] = await Promise.all(
    ["products", "categories", "customers", "orders", "stock"].map((name) => table(folder, name)),
  );
  const categoryNames = new Map(categories.map((row) => [row.category_id, row.name]));
  const onHand = new Map(stock.filter((row) => row.city_id === null).map((row) => [row.product_id, Math.round(row.on_hand)]));
  const ordersOf = new Map();
  for (const { customer_id: id } of orders) if (id !== null) ordersOf.set(id, (ordersOf.get(id) ?? 0) + 1);
  return {
    products: products
      .filter((row) => row.active && row.list_price !== null)
      .map((row) => ({
        id: row.product_id,
        name: row.name,
        category: categoryNames.get(row.category_id) ?? null,
        unit_price: money(row.list_price),
        stock: onHand.get(row.product_id) ?? null,
        active: true,
      })),
    customers: customers.map((row) => ({ id: row.customer_id, orders: ordersOf.get(row.customer_id) ?? 0 })),
  };
}

/** Every word must occur in one of the texts. */
export function find(rows, query, texts, limit) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [];
  for (const row of rows) {
    const text = texts(row).toLowerCase();
    if (words.every((word) => text.includes(word))) found.push(row);
    if (found.length >= limit) break;
  }
  return found;
}
