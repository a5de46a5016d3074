/** Takes the place of the compiler where the types have been scanned already: only the names are asked for. */
export default { SyntaxKind: {} }
