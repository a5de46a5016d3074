/** The cookie with the number by which a visitor gets a canary or not. */
export const cookieOf = (app: string): string => `pitwall-${app}`
