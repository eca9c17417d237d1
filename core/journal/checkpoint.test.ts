import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CHECKPOINT_POLICY, shouldCheckpoint } from "./checkpoint.ts";

const size = fc.nat(100_000_000);
const rows = fc.nat(100_000);

describe("[J14] checkpoint by cost", () => {
  it("[J14] is never due with nothing to replay", () => {
    expect(shouldCheckpoint({ bytesSince: 0, rowsSince: 0, checkpointBytes: 0 }, { minBytes: 0 })).toBe(false);
  });

  it("[J14] with a small state is due at the minimum: 64 rows, or a megabyte", () => {
    expect(shouldCheckpoint({ bytesSince: 0, rowsSince: 63, checkpointBytes: 100 })).toBe(false);
    expect(shouldCheckpoint({ bytesSince: 0, rowsSince: 64, checkpointBytes: 100 })).toBe(true);
    expect(shouldCheckpoint({ bytesSince: 1_048_576, rowsSince: 1, checkpointBytes: 100 })).toBe(true);
  });

  it("[J14] with a large state waits until the log weighs as much", () => {
    expect(shouldCheckpoint({ bytesSince: 15_000_000, rowsSince: 100, checkpointBytes: 20_000_000 })).toBe(false);
    expect(shouldCheckpoint({ bytesSince: 20_000_000, rowsSince: 100, checkpointBytes: 20_000_000 })).toBe(true);
    expect(shouldCheckpoint({ bytesSince: 15_000_000, rowsSince: 100, checkpointBytes: 20_000_000 }, { ratio: 0.5 })).toBe(true);
  });

  it("[J14] is monotone in what is to be replayed, and the other way in the size of the state", () => {
    fc.assert(
      fc.property(size, rows, size, size, rows, size, (bytesSince, rowsSince, checkpointBytes, moreBytes, moreRows, smaller) => {
        if (!shouldCheckpoint({ bytesSince, rowsSince, checkpointBytes })) return;
        expect(shouldCheckpoint({ bytesSince: bytesSince + moreBytes, rowsSince: rowsSince + moreRows, checkpointBytes })).toBe(true);
        expect(shouldCheckpoint({ bytesSince, rowsSince, checkpointBytes: Math.max(0, checkpointBytes - smaller) })).toBe(true);
      }),
    );
  });

  it("[J14] bounds both: a replay by minimum or checkpoint, and the rows of checkpoints to a 25th of small rows", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), fc.nat(40_000_000), (bytesPerRow, checkpointBytes) => {
        const { minBytes, maxRowBytes, rowBytes } = CHECKPOINT_POLICY;
        const chunks = Math.max(1, Math.ceil(checkpointBytes / maxRowBytes));
        const due = (count: number) => shouldCheckpoint({ bytesSince: count * bytesPerRow, rowsSince: count, checkpointBytes });
        let rowsSince = 1;
        while (!due(rowsSince)) rowsSince++;
        expect((rowsSince - 1) * (bytesPerRow + rowBytes)).toBeLessThan(Math.max(minBytes, checkpointBytes + chunks * rowBytes));
        expect(chunks / rowsSince).toBeLessThanOrEqual(1 / 25);
      }),
    );
  });
});
