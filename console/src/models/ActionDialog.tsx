/** Nothing is changed without this: it says what will happen, and the command that does the same. */
import { useEffect, useRef, useState } from "react";
import { messageOf } from "../lib/http.ts";
import { patchModel } from "../lib/kube.ts";
import { kubectlOf, type Action } from "./actions.ts";

interface Props {
  namespace: string;
  name: string;
  action: Action;
  onClose: (done: boolean) => void;
}

export function ActionDialog({ namespace, name, action, onClose }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string>();
  const [copied, setCopied] = useState(false);
  const command = kubectlOf(namespace, name, action.spec);

  useEffect(() => {
    dialog.current?.showModal();
  }, []);

  const confirm = () => {
    setBusy(true);
    setError(undefined);
    patchModel(namespace, name, action.spec)
      .then(() => {
        onClose(true);
      })
      .catch((failure: unknown) => {
        setError(messageOf(failure));
        setBusy(false);
      });
  };

  const copy = () => {
    void navigator.clipboard.writeText(command).then(() => {
      setCopied(true);
    });
  };

  return (
    <dialog
      ref={dialog}
      aria-labelledby="action-title"
      onCancel={(event) => {
        event.preventDefault();
        if (!busy) onClose(false);
      }}
    >
      <h2 id="action-title">{action.title}</h2>
      <p className="muted small">
        {namespace}/{name}
      </p>
      <ul className="effects">
        {action.effects.map((effect) => (
          <li key={effect}>{effect}</li>
        ))}
      </ul>
      <div className="command">
        <div className="command-head">
          <span className="label">The same with kubectl</span>
          <button type="button" className="quiet" onClick={copy}>
            {copied ? "Copied" : "Copy"}
          </button>
        </div>
        <code className="mono" data-testid="kubectl">
          {command}
        </code>
      </div>
      {error && (
        <p className="pill bad" role="alert">
          Refused: {error}
        </p>
      )}
      <div className="dialog-foot">
        <button
          type="button"
          disabled={busy}
          onClick={() => {
            onClose(false);
          }}
        >
          Cancel
        </button>
        <button type="button" className={action.danger ? "danger" : "primary"} disabled={busy} onClick={confirm}>
          {action.button}
        </button>
      </div>
    </dialog>
  );
}
