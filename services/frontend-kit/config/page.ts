import type { Plugin } from "vite"

/**
 * Gives the scripts of a built page's app low priority: they share the connection with its styles and are far larger, and the head
 * of the page is painted without them.
 */
export function stylesFirst(): Plugin {
  return {
    name: "kit:styles-first",
    apply: "build",
    transformIndexHtml: { order: "post", handler: stylesBeforeScripts },
  }
}

/**
 * The page with low priority for its modules.
 *
 * @param html as Vite writes it
 */
export function stylesBeforeScripts(html: string): string {
  return html.replace(/<(?:script type="module"|link rel="modulepreload")/g, '$& fetchpriority="low"')
}
