// The peer of `npm run bench -- raft`: three nodes of etcd-io/raft in memory in one goroutine, driven as bench/raft.ts drives
// ours. Prints one JSON object: proposals a second.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

const keep = 1_000       // entries that stay in the log when it is compacted
const compactAt = 20_000 // entries in the log at which it is

type member struct {
	node      *raft.RawNode
	storage   *raft.MemoryStorage
	applied   uint64
	compacted uint64
}

type cluster struct {
	members   []*member
	queue     []*pb.Message
	committed int // proposals that the leader applied
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func newCluster() *cluster {
	c := &cluster{}
	for id := uint64(1); id <= 3; id++ {
		storage := raft.NewMemoryStorage()
		snapshot := pb.EnsureSnapshot(nil)
		snapshot.Metadata.Index, snapshot.Metadata.Term = ptr(uint64(1)), ptr(uint64(1))
		snapshot.Metadata.ConfState.Voters = []uint64{1, 2, 3}
		check(storage.ApplySnapshot(snapshot))
		node, err := raft.NewRawNode(&raft.Config{
			ID: id, ElectionTick: 10, HeartbeatTick: 1, Storage: storage, Applied: 1,
			MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256, MaxUncommittedEntriesSize: 1 << 30, PreVote: true,
			Logger: &raft.DefaultLogger{Logger: log.New(io.Discard, "", 0)},
		})
		check(err)
		c.members = append(c.members, &member{node: node, storage: storage, applied: 1, compacted: 1})
	}
	return c
}

func ptr[T any](v T) *T { return &v }

// pump lets every node do what is ready, once, and delivers what they send.
func (c *cluster) pump() {
	for i, m := range c.members {
		if !m.node.HasReady() {
			continue
		}
		rd := m.node.Ready()
		if !raft.IsEmptyHardState(rd.HardState) {
			check(m.storage.SetHardState(rd.HardState))
		}
		if len(rd.Entries) > 0 {
			check(m.storage.Append(rd.Entries))
		}
		c.queue = append(c.queue, rd.Messages...)
		for _, e := range rd.CommittedEntries {
			m.applied = e.GetIndex()
			if i == 0 && len(e.GetData()) > 0 {
				c.committed++
			}
		}
		m.node.Advance(rd)
		if m.applied-m.compacted > compactAt {
			check(m.storage.Compact(m.applied - keep))
			m.compacted = m.applied - keep
		}
	}
	queue := c.queue
	c.queue = nil
	for _, msg := range queue {
		check(c.members[msg.GetTo()-1].node.Step(msg))
	}
}

func (c *cluster) run(outstanding int, together bool, size int, length time.Duration) float64 {
	proposed := 0
	payload := make([]byte, size) // one for all, as in bench/raft.ts
	base := c.committed
	began := time.Now()
	for {
		for n := 0; n < 50; n++ {
			if together {
				if proposed == c.committed-base {
					entries := make([]*pb.Entry, outstanding)
					for i := range entries {
						entries[i] = &pb.Entry{Data: payload}
					}
					check(c.members[0].node.Step(&pb.Message{Type: pb.MsgProp.Enum(), From: ptr(uint64(1)), Entries: entries}))
					proposed += outstanding
				}
			} else {
				for proposed-(c.committed-base) < outstanding {
					check(c.members[0].node.Propose(payload))
					proposed++
				}
			}
			c.pump()
		}
		if taken := time.Since(began); taken >= length {
			return float64(c.committed-base) / taken.Seconds()
		}
	}
}

func main() {
	outstanding := flag.Int("outstanding", 64, "proposals under way")
	together := flag.Bool("together", false, "propose them in one call")
	size := flag.Int("size", 128, "bytes of a proposal")
	seconds := flag.Float64("seconds", 2, "length of the measurement")
	flag.Parse()
	c := newCluster()
	check(c.members[0].node.Campaign())
	for i := 0; i < 20; i++ {
		c.pump()
	}
	length := time.Duration(*seconds * float64(time.Second))
	c.run(*outstanding, *together, *size, length/4)
	rate := c.run(*outstanding, *together, *size, length)
	check(json.NewEncoder(os.Stdout).Encode(map[string]float64{"rate": rate}))
	if c.committed == 0 {
		fmt.Fprintln(os.Stderr, "nothing was committed")
		os.Exit(1)
	}
}
