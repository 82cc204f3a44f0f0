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
  // Enter may be pressed before the answer is there: then the first of the answer to this very text is taken.
  const wanted = useRef<string | undefined>(undefined);
  const list = useId();
  const searched = query.trim();
  const asks = open && (openEmpty || searched !== "");

  const pick = (option: T) => {
    wanted.current = undefined;
    setQuery("");
    setOpen(false);
    onPick(option);
  };
  const pickLater = useRef(pick);
  useEffect(() => {
    pickLater.current = pick;
  });

  useEffect(() => {
    if (!asks) return;
    const ticket = latest.current.next();
    const timer = setTimeout(() => {
      find(searched, ticket.signal)
        .then((options) => {
          if (!ticket.isCurrent()) return;
          setFound({ query: searched, options, error: undefined });
          setSelected(0);
          if (wanted.current === searched && options[0] !== undefined) pickLater.current(options[0]);
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
      else wanted.current = searched;
    } else if (event.key === "Escape") {
      wanted.current = undefined;
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
          wanted.current = undefined;
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
