export { ERRORS, type ErrorCode, SkerryError } from "../../core/wire/errors.ts";
export type { Grant, Right } from "../../core/wire/grant.ts";
export { type Client, type ClientOptions, createClient } from "./client.ts";
export type { GroupConfig, GroupInfo, GroupMember, GroupStatus, Groups, Region, ReplicaState } from "./groups/admin.ts";
export type { CallOptions, MintedToken, TokenSource } from "./http.ts";
export type { Inference, InferRequest, ModelInfo, ModelOptions, Models, OutputTensor, Tensor, TensorInfo } from "./models.ts";
export type { RoomStats, Rooms } from "./rooms/rooms.ts";
export type { Runtime, Socket } from "./runtime.ts";
export type { Producer, ProducerOptions } from "./streams/producer.ts";
export type { PageOptions, Streams, TableInfo, TaskStatus, TopologyInfo } from "./streams/streams.ts";
export type {
  AnyValue,
  SubscribeOptions,
  Table,
  TableEvent,
  TablePage,
  TableQuery,
  TableRow,
  TableSubscription,
} from "./streams/table.ts";
export type { Appended, AppendOptions, ReadOptions, RecordPage, Topic, TopicConfig, TopicDetail, TopicInfo } from "./streams/topic.ts";
export type { Session, TokenInfo, TokenRequest, Tokens } from "./tokens.ts";
