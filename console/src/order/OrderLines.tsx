/** The order as it stands: quantities, prices, totals. */
import { useState } from "react";
import { moneyText } from "../lib/decimal.ts";
import { lineTotalText, quantityOf, standingOffer, total, type Order, type OrderLine } from "./order.ts";
import { priceText } from "./words.ts";

interface Props {
  order: Order;
  currency: string | undefined;
  onSelect: (productId: string) => void;
  onQuantity: (productId: string, quantity: string) => void;
  onRemove: (productId: string) => void;
}

function Quantity({ line, onQuantity }: { line: OrderLine; onQuantity: (quantity: string) => void }) {
  const [draft, setDraft] = useState<string>();
  const text = draft ?? line.quantity;
  const wrong = draft !== undefined && quantityOf(draft) === undefined;
  const commit = () => {
    const quantity = draft === undefined ? undefined : quantityOf(draft);
    if (quantity !== undefined) onQuantity(quantity);
    setDraft(undefined);
  };
  return (
    <input
      className="quantity"
      inputMode="decimal"
      aria-label={`Quantity of ${line.name}`}
      aria-invalid={wrong}
      value={text}
      onChange={(event) => {
        setDraft(event.target.value);
      }}
      onBlur={commit}
      onKeyDown={(event) => {
        if (event.key === "Enter") commit();
        if (event.key === "Escape") setDraft(undefined);
      }}
    />
  );
}

export function OrderLines({ order, currency, onSelect, onQuantity, onRemove }: Props) {
  if (order.lines.length === 0) {
    return (
      <p className="empty">
        No lines yet. Press <kbd>/</kbd>, type a product, and <kbd>Enter</kbd> adds it.
      </p>
    );
  }
  return (
    <table className="lines">
      <thead>
        <tr>
          <th scope="col">Product</th>
          <th scope="col" className="num">
            Quantity
          </th>
          <th scope="col" className="num">
            Price
          </th>
          <th scope="col" className="num">
            Total
          </th>
          <th scope="col">
            <span className="hidden">Remove</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {order.lines.map((line) => (
          <tr
            key={line.productId}
            className={line.productId === order.current ? "current" : undefined}
            aria-current={line.productId === order.current || undefined}
            onFocus={() => {
              onSelect(line.productId);
            }}
            onClick={() => {
              onSelect(line.productId);
            }}
          >
            <th scope="row">
              {line.name}
              <span className="muted small id">{line.productId}</span>
              {standingOffer(line) && <span className="offer-note">{standingOffer(line)}</span>}
            </th>
            <td className="num">
              <Quantity
                line={line}
                onQuantity={(quantity) => {
                  onQuantity(line.productId, quantity);
                }}
              />
            </td>
            <td className="num">{priceText(line.unitPrice, undefined)}</td>
            <td className="num">{lineTotalText(line, currency)}</td>
            <td>
              <button
                type="button"
                className="icon"
                aria-label={`Remove ${line.name}`}
                onClick={(event) => {
                  event.stopPropagation();
                  onRemove(line.productId);
                }}
              >
                ×
              </button>
            </td>
          </tr>
        ))}
      </tbody>
      <tfoot>
        <tr>
          <th scope="row" colSpan={3}>
            Total before offers
          </th>
          <td className="num" data-testid="order-total">
            {moneyText(total(order, currency), currency)}
          </td>
          <td />
        </tr>
      </tfoot>
    </table>
  );
}
