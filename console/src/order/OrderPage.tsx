/** Order entry: a customer, lines by search, and recommendations that follow every line. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { Config, ModelRef } from "../lib/config.ts";
import { moneyText } from "../lib/decimal.ts";
import type { NewEvent } from "../lib/events.ts";
import { findCustomers, findProducts, type Customer, type Product } from "../lib/insights.ts";
import { commandOf } from "../lib/keys.ts";
import { wireQuantity, type Item, type Question } from "../lib/router.ts";
import { Combobox } from "../ui/Combobox.tsx";
import { AnswerMeter } from "./AnswerMeter.tsx";
import { addOne, EMPTY, eventsOf, lineOf, purchaseOf, put, quantityOf, remove, select, setQuantity, step, total, type Order } from "./order.ts";
import { OrderLines } from "./OrderLines.tsx";
import { RecommendationCard } from "./RecommendationCard.tsx";
import { useEvents } from "./useEvents.ts";
import { useRecommendations } from "./useRecommendations.ts";
import { countText, priceText } from "./words.ts";

const PLACEMENT = "order_entry" as const;
const newSession = () => `console-${crypto.randomUUID()}`;

interface Props {
  model: ModelRef;
  config: Config;
  /** Whether this page is the one that is shown; the keys are its own only then. */
  shown: boolean;
}

export function OrderPage({ model, config, shown }: Props) {
  const [order, setOrder] = useState<Order>(EMPTY);
  const [customer, setCustomer] = useState<Customer>();
  const [session, setSession] = useState(newSession);
  const [declined, setDeclined] = useState<ReadonlySet<string>>(new Set());
  const [said, setSaid] = useState("");
  const { queue, state: log } = useEvents(model.router);
  const productField = useRef<HTMLInputElement>(null);
  const customerField = useRef<HTMLInputElement>(null);

  const question = useMemo<Question>(
    () => ({
      placement: PLACEMENT,
      session_id: session,
      ...(customer ? { customer_id: customer.id } : {}),
      cart: order.lines.map((line) => ({
        product_id: line.productId,
        quantity: wireQuantity(line.quantity),
        ...(line.unitPrice === undefined ? {} : { unit_price: line.unitPrice }),
      })),
      context: { channel: "back_office", device: "desktop" },
      ...(order.lines.length > 0 ? { occasion: "cart_updated" as const } : {}),
    }),
    [session, customer, order.lines],
  );
  const { timed, times, asking, error, again } = useRecommendations(model.router, question, shown);
  const answer = timed?.answer;
  const currency = answer?.currency ?? undefined;
  const items = useMemo(() => (answer?.items ?? []).filter((item) => !declined.has(item.product_id)), [answer, declined]);

  const send = useCallback(
    (...events: NewEvent[]) => {
      if (!config.acting) return;
      const who = { session_id: session, ...(customer ? { customer_id: customer.id } : {}) };
      queue.push(...events.map((event) => ({ placement: PLACEMENT, ...who, ...event })));
    },
    [queue, session, customer, config.acting],
  );

  const change = useCallback(
    (next: Order, from?: NewEvent) => {
      if (next === order) return;
      const follows = from?.request_id === undefined ? {} : { request_id: from.request_id };
      const events = eventsOf(order, next).map((event) => ({ ...event, ...follows }));
      setOrder(next);
      const all = from ? [from, ...events] : events;
      if (all.length > 0) send(...all);
    },
    [order, send],
  );

  const follow = useCallback(
    (type: NewEvent["type"], item: Item): NewEvent => ({
      type,
      product_id: item.product_id,
      request_id: answer?.request_id ?? null,
      ...(item.offer ? { offer_id: item.offer.offer_id } : {}),
    }),
    [answer],
  );

  const accept = useCallback(
    (item: Item) => {
      const quantity = quantityOf(item.suggested_quantity) ?? "1";
      const sold = { productId: item.product_id, name: item.name, unitPrice: item.unit_price ?? undefined };
      const saving = item.offer ? { text: `${item.reason.text} (saves ${priceText(item.offer.saves, currency)})`, quantity } : undefined;
      const base = item.instead_of ? remove(order, item.instead_of) : order;
      change(put(base, sold, quantity, saving), { ...follow("recommendation_accepted", item), quantity: wireQuantity(quantity) });
      setSaid(`${item.name}: ${quantity} in the order`);
    },
    [order, change, follow, currency],
  );

  const decline = useCallback(
    (item: Item) => {
      setDeclined((before) => new Set(before).add(item.product_id));
      setSaid(`${item.name} declined`);
      send(follow("recommendation_declined", item));
      void queue.drained().then(again);
    },
    [send, follow, queue, again],
  );

  const startAnew = useCallback(() => {
    setOrder(EMPTY);
    setSession(newSession());
    setDeclined(new Set());
  }, []);

  const place = () => {
    const id = `C-${crypto.randomUUID().slice(0, 8).toUpperCase()}`;
    send({ ...purchaseOf(order, id, currency), request_id: answer?.request_id ?? null });
    setSaid(`Order ${id} placed: ${order.lines.length} lines, ${moneyText(total(order, currency), currency)}`);
    // The next question comes after the purchase is on disk, so that it already counts.
    void queue.drained().then(again);
    startAnew();
    productField.current?.focus();
  };

  useEffect(() => {
    if (!shown) return;
    const onKey = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement | null;
      const field = target instanceof HTMLInputElement ? (target.value === "" ? "empty" : "filled") : "none";
      const command = commandOf({
        key: event.key, code: event.code, alt: event.altKey, shift: event.shiftKey, ctrl: event.ctrlKey, meta: event.metaKey, field,
      });
      if (!command) return;
      if ((command.do === "accept" || command.do === "decline") && !config.acting) return;
      event.preventDefault();
      if (command.do === "focus-products") productField.current?.focus();
      else if (command.do === "focus-customer") customerField.current?.focus();
      else if (command.do === "step") change(step(order, command.by));
      else {
        const item = items[command.index];
        if (item) (command.do === "accept" ? accept : decline)(item);
      }
    };
    window.addEventListener("keydown", onKey);
    return () => {
      window.removeEventListener("keydown", onKey);
    };
  }, [shown, config.acting, order, items, change, accept, decline]);

  const searchProducts = useCallback((query: string, signal: AbortSignal) => findProducts(model.insights, query, 12, signal), [model]);
  const searchCustomers = useCallback((query: string, signal: AbortSignal) => findCustomers(model.insights, query, 8, signal), [model]);

  return (
    <main className="order-page" hidden={!shown}>
      <section className="panel order" aria-label="Order">
        <div className="fields">
          <div>
            {customer ? (
              <div className="picked">
                <span className="label">Customer</span>
                <div>
                  <strong>{customer.id}</strong> <span className="muted">{customer.orders} orders</span>
                  <button
                    type="button"
                    className="quiet"
                    onClick={() => {
                      setCustomer(undefined);
                      setTimeout(() => customerField.current?.focus());
                    }}
                  >
                    Change
                  </button>
                </div>
              </div>
            ) : (
              <Combobox<Customer>
                label="Customer"
                hint={<kbd>c</kbd>}
                placeholder="None, or search"
                inputRef={customerField}
                openEmpty
                find={searchCustomers}
                keyOf={(found) => found.id}
                draw={(found) => (
                  <>
                    <span>{found.id}</span> <span className="muted">{found.orders} orders</span>
                  </>
                )}
                onPick={(found) => {
                  setCustomer(found);
                  setSaid(`Customer ${found.id}`);
                  productField.current?.focus();
                }}
              />
            )}
          </div>
          <Combobox<Product>
            label="Add a product"
            hint={<kbd>/</kbd>}
            placeholder="Name, category or number"
            inputRef={productField}
            find={searchProducts}
            keyOf={(found) => found.id}
            draw={(found) => (
              <>
                <span className="found-name">{found.name}</span>
                <span className="muted small">{found.id}</span>
                <span className="grow" />
                <span className={`small ${(found.stock ?? 0) > 0 ? "muted" : "bad-text"}`}>
                  {found.stock === null || found.stock === undefined ? "" : found.stock > 0 ? `${countText(found.stock)} in stock` : "out of stock"}
                </span>
                <span className="num">{priceText(found.unit_price, undefined)}</span>
              </>
            )}
            onPick={(found) => {
              change(addOne(order, { productId: found.id, name: found.name, unitPrice: found.unit_price ?? undefined }));
              setSaid(`${found.name} added`);
            }}
          />
        </div>
        <OrderLines
          order={order}
          currency={currency}
          onSelect={(id) => {
            setOrder((before) => (before.current === id ? before : select(before, id)));
          }}
          onQuantity={(id, quantity) => {
            change(setQuantity(order, id, quantity));
          }}
          onRemove={(id) => {
            change(remove(order, id));
          }}
        />
        <div className="order-foot">
          <p className="said" role="status">
            {said}
          </p>
          {log.trouble && <p className="pill warn">{log.waiting} events wait for the log: {log.trouble}</p>}
          {log.refused && <p className="pill bad">Not recorded: {log.refused}</p>}
          <span className="grow" />
          {order.lines.length > 0 && (
            <button
              type="button"
              className="quiet"
              onClick={() => {
                change(EMPTY);
                setDeclined(new Set());
              }}
            >
              Clear
            </button>
          )}
          {config.acting && (
            <button type="button" className="primary big" disabled={order.lines.length === 0} onClick={place}>
              Place order
            </button>
          )}
        </div>
        <p className="keys muted small">
          <kbd>/</kbd> products <kbd>c</kbd> customer <kbd>↑</kbd> <kbd>↓</kbd> <kbd>Enter</kbd> add <kbd>+</kbd> <kbd>-</kbd> quantity{" "}
          <kbd>Alt</kbd>+<kbd>1</kbd>…<kbd>9</kbd> accept, with <kbd>Shift</kbd> decline
        </p>
      </section>
      <section className="panel recommendations" aria-label="Recommendations">
        <h2>Recommended</h2>
        <AnswerMeter timed={timed} times={times} asking={asking} />
        {error && <p className="pill bad">No answer: {error}</p>}
        <p className="hidden" aria-live="polite">
          {answer ? `${items.length} recommendations. ${items[0] ? `First: ${items[0].name}, ${items[0].reason.text}` : ""}` : ""}
        </p>
        {items.length === 0 && answer && <p className="empty">Nothing to recommend for this order.</p>}
        <ol className={asking ? "cards asking" : "cards"}>
          {items.map((item, index) => (
            <RecommendationCard
              key={item.product_id}
              item={item}
              index={index}
              currency={currency}
              insteadOf={item.instead_of ? (lineOf(order, item.instead_of)?.name ?? item.instead_of) : undefined}
              acting={config.acting}
              onAccept={() => {
                accept(item);
              }}
              onDecline={() => {
                decline(item);
              }}
              onOpen={() => {
                send(follow("select_item", item));
              }}
            />
          ))}
        </ol>
        {declined.size > 0 && (
          <p className="muted small">
            {declined.size} declined in this order.{" "}
            <button
              type="button"
              className="link"
              onClick={() => {
                setDeclined(new Set());
              }}
            >
              Show again
            </button>
          </p>
        )}
      </section>
    </main>
  );
}
