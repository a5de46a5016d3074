/** Replaces the compiler in calls: the types are scanned by then, and the SDK only reads this name. */
export default { SyntaxKind: {} }
