import { useId, type ComponentProps, type ReactNode } from "react"

interface Wrapping {
  label: string
  /** What to know before filling it in. */
  hint?: ReactNode
  /** What is wrong with it. */
  error?: string | undefined
  /** Keeps the label for screen readers only. */
  hideLabel?: boolean
}

/** A text input with its label, hint and error, tied together for assistive technology. */
export function Field({ label, hint, error, hideLabel, ...input }: Wrapping & ComponentProps<"input">) {
  return (
    <Labelled {...{ label, hint, error, hideLabel }}>
      {(attributes) => <input {...input} {...attributes} />}
    </Labelled>
  )
}

/** The same for text of several lines. */
export function TextField({
  label,
  hint,
  error,
  hideLabel,
  ...input
}: Wrapping & ComponentProps<"textarea">) {
  return (
    <Labelled {...{ label, hint, error, hideLabel }}>
      {(attributes) => <textarea rows={2} {...input} {...attributes} />}
    </Labelled>
  )
}

interface Attributes {
  id: string
  "aria-describedby": string | undefined
  "aria-invalid": boolean
}

function Labelled({
  label,
  hint,
  error,
  hideLabel,
  children,
}: Wrapping & { children: (attributes: Attributes) => ReactNode }) {
  const id = useId()
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ")
  return (
    <div className="field">
      <label htmlFor={id} className={hideLabel ? "kit-visually-hidden" : undefined}>
        {label}
      </label>
      {hint && (
        <p id={`${id}-hint`} className="hint">
          {hint}
        </p>
      )}
      {children({ id, "aria-describedby": described || undefined, "aria-invalid": Boolean(error) })}
      {error && (
        <p id={`${id}-error`} className="field-error">
          {error}
        </p>
      )}
    </div>
  )
}
