/** A search field with a list of what was found: type, arrows, Enter. The list follows the ARIA combobox pattern. */
import { useEffect, useId, useRef, useState, type KeyboardEvent, type ReactNode, type Ref } from "react";
import { moveSelection } from "../lib/keys.ts";
import { isAbort, messageOf } from "../lib/http.ts";
import { Latest } from "../lib/latest.ts";

interface Props<T> {
  label: string;
  placeholder: string;
  hint?: ReactNode;
  inputRef: Ref<HTMLInputElement>;
  find: (query: string, signal: AbortSignal) => Promise<T[]>;
  keyOf: (option: T) => string;
  draw: (option: T) => ReactNode;
  onPick: (option: T) => void;
  /** Whether an empty field already lists something. */
  openEmpty?: boolean;
}

const DELAY_MS = 70;

interface Found<T> {
  query: string;
  options: T[];
  error: string | undefined;
}

export function Combobox<T>({ label, placeholder, hint, inputRef, find, keyOf, draw, onPick, openEmpty = false }: Props<T>) {
  const [query, setQuery] = useState("");
  const [open, setOpen] = useState(false);
  const [found, setFound] = useState<Found<T>>({ query: "", options: [], error: undefined });
  const [selected, setSelected] = useState(0);
  const latest = useRef(new Latest());
  // What was asked for with Enter before its answer was there; one after the other, so that the order is the typed one.
  const pending = useRef<Promise<void>>(Promise.resolve());
  const list = useId();
  const searched = query.trim();
  const asks = open && (openEmpty || searched !== "");

  const onPickNow = useRef(onPick);
  useEffect(() => {
    onPickNow.current = onPick;
  });

  const pick = (option: T) => {
    setQuery("");
    setOpen(false);
    onPick(option);
  };

  /** Takes the first of what this very text finds; the field is free for the next at once. */
  const pickLater = (text: string) => {
    setQuery("");
    const giveBack = () => {
      setQuery((typed) => (typed === "" ? text : typed));
      setOpen(true);
    };
    pending.current = pending.current.then(async () => {
      const [first] = await find(text, new AbortController().signal).catch(() => []);
      if (first === undefined) giveBack();
      else onPickNow.current(first);
    });
  };

  useEffect(() => {
    if (!asks) return;
    const ticket = latest.current.next();
    const timer = setTimeout(() => {
      find(searched, ticket.signal)
        .then((options) => {
          if (!ticket.isCurrent()) return;
          setFound({ query: searched, options, error: undefined });
          setSelected(0);
        })
        .catch((error: unknown) => {
          if (ticket.isCurrent() && !isAbort(error)) setFound({ query: searched, options: [], error: messageOf(error) });
        });
    }, DELAY_MS);
    return () => {
      clearTimeout(timer);
    };
  }, [asks, searched, find]);

  const { options } = found;
  const current = found.query === searched;
  const shown = asks && (options.length > 0 || found.error !== undefined || (current && searched !== ""));

  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (asks) setSelected(moveSelection(selected, event.key, options.length));
      else setOpen(true);
    } else if (event.key === "Enter" && asks) {
      event.preventDefault();
      const option = options[selected];
      if (current && option !== undefined) pick(option);
      else if (!current && searched !== "") pickLater(searched);
    } else if (event.key === "Escape") {
      if (query === "") event.currentTarget.blur();
      setQuery("");
      setOpen(false);
    }
  };

  return (
    <div className="combobox">
      <label htmlFor={`${list}-input`}>
        {label} {hint}
      </label>
      <input
        id={`${list}-input`}
        ref={inputRef}
        type="text"
        role="combobox"
        autoComplete="off"
        spellCheck={false}
        aria-expanded={shown}
        aria-controls={list}
        aria-autocomplete="list"
        aria-activedescendant={shown && options[selected] !== undefined ? `${list}-${selected}` : undefined}
        placeholder={placeholder}
        value={query}
        onChange={(event) => {
              setQuery(event.target.value);
          setOpen(true);
        }}
        onFocus={() => {
          setOpen(true);
        }}
        onBlur={() => {
          setOpen(false);
        }}
        onKeyDown={onKeyDown}
      />
      <ul id={list} role="listbox" aria-label={label} hidden={!shown}>
        {options.map((option, index) => (
          <li
            key={keyOf(option)}
            id={`${list}-${index}`}
            role="option"
            aria-selected={index === selected}
            onMouseDown={(event) => {
              event.preventDefault();
              pick(option);
            }}
          >
            {draw(option)}
          </li>
        ))}
        {options.length === 0 && (
          <li className="nothing" role="option" aria-selected={false} aria-disabled>
            {found.error ?? `Nothing found for “${searched}”`}
          </li>
        )}
      </ul>
    </div>
  );
}
