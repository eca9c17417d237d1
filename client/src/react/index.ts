export { type LiveKey, type LiveKeys, useGroupKey, useWatch } from "./use-group.ts";
export { type Peer, type PresenceLike, type RoomLike, type SharedLike, useAwareness, useRoom, useShared } from "./use-room.ts";
export { type LiveTable, type UseTableOptions, useTable } from "./use-table.ts";
