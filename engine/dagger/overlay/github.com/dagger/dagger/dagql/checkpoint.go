package dagql

import (
	"context"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/dagger/dagger/engine/slog"
)

const (
	// checkpointAfter is how long nobody may have used the cache.
	checkpointAfter = 10 * time.Second
	// metaKeyCheckpoint names the start of the machine in which the database was written.
	metaKeyCheckpoint = "checkpoint_boot"
)

// checkpoints writes the cache to its database while nobody uses it. An engine
// that is killed starts with the last of these states. Dagger writes the cache
// only when it is stopped, and starts with an empty one after a kill.
type checkpoints struct {
	// checkpointMu protects the fields below.
	checkpointMu    sync.Mutex
	checkpointTimer *time.Timer
	checkpointsDone bool
	// checkpointWriting is held while a checkpoint is written.
	checkpointWriting sync.Mutex
	// afterKill says that the cache has not been used since a kill.
	afterKill bool
}

// survivedKill says whether the database of an engine that was killed can be
// used. After a restart of the machine it cannot: neither it nor the snapshots
// have to have reached the disk. It can be used once, until work has been done
// with it, so that a cache that ends the engine is not tried for ever.
func (c *Cache) survivedKill(ctx context.Context) bool {
	boot := bootID()
	written, found, err := c.pdb.SelectMetaValue(ctx, metaKeyCheckpoint)
	if err != nil || !found || boot == "" || written != boot {
		return false
	}
	if err := c.pdb.UpsertMeta(ctx, metaKeyCheckpoint, ""); err != nil {
		slog.Warn("the cache of the killed engine is not used", "err", err)
		return false
	}
	c.afterKill = true
	slog.Warn("the engine was killed: its cache is as it was last written")
	return true
}

// checkpointed notes that the database has the state of the cache.
func (c *Cache) checkpointed(ctx context.Context) error {
	if c.afterKill {
		return nil
	}
	return c.pdb.UpsertMeta(ctx, metaKeyCheckpoint, bootID())
}

// checkpointLater writes a checkpoint once nobody has used the cache for a while.
func (c *Cache) checkpointLater() {
	c.checkpointMu.Lock()
	defer c.checkpointMu.Unlock()
	if c.checkpointsDone || c.pdb == nil {
		return
	}
	if c.checkpointTimer == nil {
		c.checkpointTimer = time.AfterFunc(checkpointAfter, c.checkpoint)
		return
	}
	c.checkpointTimer.Reset(checkpointAfter)
}

func (c *Cache) checkpoint() {
	c.checkpointWriting.Lock()
	defer c.checkpointWriting.Unlock()
	c.checkpointMu.Lock()
	done := c.checkpointsDone
	c.checkpointMu.Unlock()
	c.sessionMu.Lock()
	sessions := len(c.sessionResultIDsBySession)
	c.sessionMu.Unlock()
	// The end of a session that goes on asks for a checkpoint of its own.
	if done || sessions > 0 {
		return
	}
	ctx, began := context.Background(), time.Now()
	if err := c.persistCurrentState(ctx); err != nil {
		slog.Warn("the cache was not written; a kill would cost what was made since it last was", "err", err)
		return
	}
	c.afterKill = false
	if err := c.checkpointed(ctx); err != nil {
		slog.Warn("the cache was written, but will not be used after a kill", "err", err)
		return
	}
	slog.Info("the cache was written", "took", time.Since(began), "results", c.Size())
}

// endCheckpoints waits for one that is being written. None begins after it.
func (c *Cache) endCheckpoints() {
	c.checkpointMu.Lock()
	c.checkpointsDone = true
	if c.checkpointTimer != nil {
		c.checkpointTimer.Stop()
	}
	c.checkpointMu.Unlock()
	c.checkpointWriting.Lock()
	defer c.checkpointWriting.Unlock()
}

// bootID identifies the machine's start; empty if unknown.
func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
