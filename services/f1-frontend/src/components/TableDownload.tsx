import type { RefObject } from "react"

interface TableDownloadProps {
  /** Names the file, too. */
  caption: string
  table: RefObject<HTMLTableElement | null>
}

/** Saves a table as it is shown, in its order, as a CSV file. */
export function TableDownload({ caption, table }: TableDownloadProps) {
  return (
    <button
      type="button"
      className="quiet-button table-download"
      aria-label={`Download ${caption} as CSV`}
      onClick={() => {
        if (table.current) save(`${fileName(caption)}.csv`, csvOf(table.current))
      }}
    >
      Download CSV
    </button>
  )
}

/** The text of a table's cells as RFC 4180 has it. What only people who see read, such as arrows, is left out. */
export function csvOf(table: HTMLTableElement): string {
  const lines = [...table.rows].map((row) => [...row.cells].map((cell) => quoted(textOf(cell))).join(","))
  return lines.map((line) => `${line}\r\n`).join("")
}

function textOf(cell: HTMLTableCellElement): string {
  const read = cell.cloneNode(true) as HTMLTableCellElement
  for (const decoration of read.querySelectorAll("[aria-hidden=true]")) decoration.remove()
  return read.textContent.replace(/\s+/g, " ").trim()
}

function quoted(text: string): string {
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function fileName(caption: string): string {
  return caption
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "")
}

function save(name: string, text: string): void {
  // The mark at the beginning tells spreadsheets that it is UTF-8.
  const url = URL.createObjectURL(new Blob(["\uFEFF", text], { type: "text/csv;charset=utf-8" }))
  const link = document.createElement("a")
  link.href = url
  link.download = name
  link.click()
  // The browser has begun to read it by then.
  setTimeout(() => {
    URL.revokeObjectURL(url)
  }, 0)
}
