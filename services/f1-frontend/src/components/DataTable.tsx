import { useRef, useState, type ReactNode } from "react"
import { useFlag } from "../useFlag.ts"
import { TableDownload } from "./TableDownload.tsx"
import "./data-table.css"

export interface Column<Row> {
  id: string
  header: string
  cell: (row: Row) => ReactNode
  /** What to order rows by; without it the column cannot be sorted. Null goes last either way. */
  sort?: (row: Row) => number | string | null
  /** Numbers: set flush right, and sorted from high to low first. */
  numeric?: boolean
  /** Left out on narrow screens. */
  minor?: boolean
}

interface DataTableProps<Row> {
  /** Says what the table holds; read out, and shown when `captionShown`. */
  caption: string
  captionShown?: boolean
  /** The first column names the row. */
  columns: Column<Row>[]
  rows: Row[]
  rowKey: (row: Row) => string
}

interface Order {
  column: string
  descending: boolean
}

/** A table whose headers sort it, by pointer or keyboard; without an order chosen rows stay as given. */
export function DataTable<Row>({
  caption,
  captionShown = false,
  columns,
  rows,
  rowKey,
}: DataTableProps<Row>) {
  const [order, setOrder] = useState<Order | null>(null)
  const table = useRef<HTMLTableElement>(null)
  const download = useFlag("tableDownload")
  const sortBy = columns.find((column) => column.id === order?.column)?.sort
  const sorted = order && sortBy ? [...rows].sort(compare(sortBy, order.descending)) : rows
  return (
    <>
      <div className="table-scroll" role="region" aria-label={caption} tabIndex={0}>
        <table ref={table} className="table">
          <caption className={captionShown ? undefined : "visually-hidden"}>{caption}</caption>
          <thead>
            <tr>
              {columns.map((column) => {
                const current = order?.column === column.id ? order : null
                return (
                  <th
                    key={column.id}
                    scope="col"
                    className={cellClass(column)}
                    aria-sort={current ? (current.descending ? "descending" : "ascending") : undefined}
                  >
                    {column.sort ? (
                      <button
                        type="button"
                        className="table-sort"
                        onClick={() => {
                          const descending = current ? !current.descending : column.numeric === true
                          setOrder({ column: column.id, descending })
                        }}
                      >
                        {column.header}
                        <span aria-hidden="true" className="table-arrow">
                          {current ? (current.descending ? "▼" : "▲") : "↕"}
                        </span>
                      </button>
                    ) : (
                      column.header
                    )}
                  </th>
                )
              })}
            </tr>
          </thead>
          <tbody>
            {sorted.map((row) => (
              <tr key={rowKey(row)}>
                {columns.map((column, index) =>
                  index === 0 ? (
                    <th key={column.id} scope="row" className={cellClass(column)}>
                      {column.cell(row)}
                    </th>
                  ) : (
                    <td key={column.id} className={cellClass(column)}>
                      {column.cell(row)}
                    </td>
                  ),
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {download && <TableDownload caption={caption} table={table} />}
    </>
  )
}

function cellClass<Row>(column: Column<Row>): string | undefined {
  const classes = [column.numeric && "numeric", column.minor && "minor"].filter(Boolean)
  return classes.length > 0 ? classes.join(" ") : undefined
}

function compare<Row>(value: (row: Row) => number | string | null, descending: boolean) {
  const direction = descending ? -1 : 1
  return (first: Row, second: Row): number => {
    const a = value(first)
    const b = value(second)
    if (a === null || b === null) return Number(a === null) - Number(b === null)
    if (typeof a === "string" && typeof b === "string") return direction * a.localeCompare(b, "en-GB")
    return direction * (Number(a) - Number(b))
  }
}
