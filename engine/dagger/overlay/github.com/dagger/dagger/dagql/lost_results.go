package dagql

import (
	"context"
	"fmt"
	"slices"

	"github.com/dagger/dagger/dagql/persistdb"
	"github.com/dagger/dagger/engine/slog"
	bkcache "github.com/dagger/dagger/engine/snapshots"
)

// persistedResults are the rows of a stored cache that belong to one result each.
type persistedResults struct {
	results   []persistdb.MirrorResult
	classes   []persistdb.MirrorResultOutputEqClass
	edges     []persistdb.MirrorPersistedEdge
	deps      []persistdb.MirrorResultDep
	snapshots []persistdb.MirrorResultSnapshotLink
}

// withoutLost leaves out the results whose snapshot the store no longer has,
// and every result that was made from one of them. They are computed again when
// they are needed; the rest of the cache stays.
func (c *Cache) withoutLost(ctx context.Context, rows persistedResults) (persistedResults, error) {
	if c.snapshotManager == nil {
		return rows, nil
	}
	lost := map[int64]bool{}
	var found []int64
	lose := func(id int64) {
		if !lost[id] {
			lost[id] = true
			found = append(found, id)
		}
	}
	for _, link := range rows.snapshots {
		// The lease also asks for every snapshot below this one.
		err := c.snapshotManager.AttachLease(ctx, resultSnapshotLeaseID(sharedResultID(link.ResultID), link.Role), link.RefKey)
		switch {
		case bkcache.IsNotFound(err):
			lose(link.ResultID)
		case err != nil:
			return rows, fmt.Errorf("snapshot %s of result %d: %w", link.RefKey, link.ResultID, err)
		}
	}
	if len(found) == 0 {
		return rows, nil
	}
	madeFrom := map[int64][]int64{}
	for _, dep := range rows.deps {
		madeFrom[dep.DepResultID] = append(madeFrom[dep.DepResultID], dep.ParentResultID)
	}
	direct := len(found)
	for len(found) > 0 {
		id := found[len(found)-1]
		found = found[:len(found)-1]
		for _, parent := range madeFrom[id] {
			lose(parent)
		}
	}
	slog.Warn("results of the cache are lost with their snapshots", "snapshots", direct, "results", len(lost), "of", len(rows.results))
	return persistedResults{
		results:   slices.DeleteFunc(rows.results, func(row persistdb.MirrorResult) bool { return lost[row.ID] }),
		classes:   slices.DeleteFunc(rows.classes, func(row persistdb.MirrorResultOutputEqClass) bool { return lost[row.ResultID] }),
		edges:     slices.DeleteFunc(rows.edges, func(row persistdb.MirrorPersistedEdge) bool { return lost[row.ResultID] }),
		deps:      slices.DeleteFunc(rows.deps, func(row persistdb.MirrorResultDep) bool { return lost[row.ParentResultID] || lost[row.DepResultID] }),
		snapshots: slices.DeleteFunc(rows.snapshots, func(row persistdb.MirrorResultSnapshotLink) bool { return lost[row.ResultID] }),
	}, nil
}
