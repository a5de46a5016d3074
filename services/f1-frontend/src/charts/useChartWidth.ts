import { useParentSize } from "@visx/responsive"
import type { RefCallback } from "react"

const PAGE_PADDING = 32
const PAGE_WIDTH = 1136

/** The width that a chart has, in pixels; until it is measured (or while it is hidden) what the window lets expect. */
export function useChartWidth(most = PAGE_WIDTH): {
  parentRef: RefCallback<HTMLDivElement>
  width: number
} {
  const { parentRef, width } = useParentSize({ debounceTime: 30 })
  return { parentRef, width: width > 0 ? width : Math.min(innerWidth - PAGE_PADDING, most) }
}
