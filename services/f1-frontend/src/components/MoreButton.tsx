import "./more-button.css"

interface MoreButtonProps {
  open: boolean
  onToggle: (open: boolean) => void
  /** What pressing it does while closed, and while open. */
  more: string
  less: string
}

/** Shows the rest of a long list, and hides it again. */
export function MoreButton({ open, onToggle, more, less }: MoreButtonProps) {
  return (
    <button
      type="button"
      className="quiet-button more"
      aria-expanded={open}
      onClick={() => {
        onToggle(!open)
      }}
    >
      {open ? less : more}
    </button>
  )
}
