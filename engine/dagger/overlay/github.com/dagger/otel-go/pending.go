package otel

// PendingAttr marks a span whose work has not started yet. The engine names it;
// the released module does not have it yet.
const PendingAttr = "dagger.io/span.pending"
