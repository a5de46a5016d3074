/** The name, beside a twirl of spaghetti. */
export function Wordmark() {
  return (
    <>
      <svg viewBox="0 0 40 40" aria-hidden="true" focusable="false">
        <circle cx="20" cy="20" r="20" className="wordmark-plate" />
        <g className="wordmark-strands">
          <path d="M20 9c6.5 0 11 4.7 11 10.600S26.600 31 20 31 9 26.200 9 20.300 13.400 13 19.600 13 27 16.300 27 20.300 24 27 20 27s-6.500-2.900-6.500-6.400 2.600-4.100 5.900-4.100 4 1.900 4 3.900-1.400 3.300-3.300 3.300-2.500-1.400-2.500-2.700" />
        </g>
      </svg>
      <span>Al Dente</span>
    </>
  )
}
