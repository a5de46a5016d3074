import "react"

declare module "react" {
  // Custom properties carry data (a share, a team's colour) into style sheets.
  interface CSSProperties {
    "--share"?: number
    "--team"?: string
  }
}
