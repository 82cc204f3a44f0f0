/** One recommended item: what, why, at what price, and two buttons. */
import { useState } from "react";
import type { Item } from "../lib/router.ts";
import { acceptLabel, countText, evidenceWords, KIND_WORDS, offerText, priceText, STOCK_WORDS } from "./words.ts";

interface Props {
  item: Item;
  /** Place among those that are shown; the first nine have a key. */
  index: number;
  currency: string | undefined;
  insteadOf: string | undefined;
  acting: boolean;
  onAccept: () => void;
  onDecline: () => void;
  onOpen: () => void;
}

export function RecommendationCard({ item, index, currency, insteadOf, acting, onAccept, onDecline, onOpen }: Props) {
  const [open, setOpen] = useState(false);
  const digit = index < 9 ? index + 1 : undefined;
  const toggle = () => {
    if (!open) onOpen();
    setOpen(!open);
  };
  return (
    <li className="card" data-product={item.product_id}>
      <div className="card-head">
        <span className="rank" aria-hidden>
          {digit ?? "·"}
        </span>
        <button type="button" className="link name" aria-expanded={open} onClick={toggle}>
          {item.name}
        </button>
        <span className={`kind ${item.kind}`}>{KIND_WORDS[item.kind]}</span>
      </div>
      <p className="reason">{item.reason.text}</p>
      {item.offer && <p className="offer">{offerText(item.offer, currency)}</p>}
      {insteadOf && <p className="muted small">In place of {insteadOf}</p>}
      <div className="card-foot">
        <span className="price">{priceText(item.unit_price, currency)}</span>
        <span className={`stock ${item.stock}`}>{STOCK_WORDS[item.stock]}</span>
        {item.in_cart > 0 && <span className="muted">{countText(item.in_cart)} in order</span>}
        <span className="grow" />
        {acting && (
          <>
            <button type="button" className="quiet" onClick={onDecline} aria-label={`Decline ${item.name}`} title={digit ? `Alt+Shift+${digit}` : undefined}>
              Decline
            </button>
            <button type="button" className="primary" onClick={onAccept} aria-label={`${acceptLabel(item)}: ${item.name}`} title={digit ? `Alt+${digit}` : undefined}>
              {acceptLabel(item)}
            </button>
          </>
        )}
      </div>
      {open && (
        <dl className="evidence">
          {[["product", item.product_id] as [string, string], ["score", item.score.toFixed(3)] as [string, string], ...evidenceWords(item.reason.evidence as Record<string, unknown>)].map(
            ([key, value]) => (
              <div key={key}>
                <dt>{key}</dt>
                <dd>{value}</dd>
              </div>
            ),
          )}
        </dl>
      )}
    </li>
  );
}
