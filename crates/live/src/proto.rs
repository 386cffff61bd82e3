//! The messages of Perspective's protocol that a server of read-only tables needs.
//!
//! Names and numbers are those of `perspective.proto`, version 5.6. A request that is missing here is
//! decoded as a request without a message, and rejected as unsupported.

use std::collections::BTreeMap;

use prost::{Enumeration, Message, Oneof};

/// A request of a page. `entity_id` names the table or the view.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Request {
    #[prost(uint32, tag = "1")]
    pub(crate) msg_id: u32,
    #[prost(string, tag = "2")]
    pub(crate) entity_id: String,
    #[prost(
        oneof = "ClientMessage",
        tags = "3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, \
                26, 29, 30, 34, 35, 36, 37, 39, 40, 41"
    )]
    pub(crate) message: Option<ClientMessage>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum ClientMessage {
    #[prost(message, tag = "3")]
    Features(Empty),
    #[prost(message, tag = "4")]
    HostedTables(HostedTablesReq),
    #[prost(message, tag = "5")]
    MakePort(Empty),
    #[prost(message, tag = "6")]
    MakeView(MakeViewReq),
    #[prost(message, tag = "7")]
    TableSchema(Empty),
    #[prost(message, tag = "8")]
    TableSize(Empty),
    #[prost(message, tag = "10")]
    ColumnPaths(ColumnPathsReq),
    #[prost(message, tag = "11")]
    DeleteView(Empty),
    #[prost(message, tag = "12")]
    Dimensions(Empty),
    #[prost(message, tag = "13")]
    ExpressionSchema(Empty),
    #[prost(message, tag = "14")]
    Config(Empty),
    #[prost(message, tag = "15")]
    ViewSchema(Empty),
    #[prost(message, tag = "16")]
    ToArrow(WindowReq),
    #[prost(message, tag = "17")]
    SystemInfo(Empty),
    #[prost(message, tag = "18")]
    Collapse(RowReq),
    #[prost(message, tag = "19")]
    Expand(RowReq),
    #[prost(message, tag = "20")]
    MinMax(MinMaxReq),
    #[prost(message, tag = "21")]
    OnUpdate(OnUpdateReq),
    #[prost(message, tag = "22")]
    RemoveOnUpdate(RemoveReq),
    #[prost(message, tag = "23")]
    SetDepth(DepthReq),
    #[prost(message, tag = "24")]
    ToColumns(TextReq),
    #[prost(message, tag = "25")]
    ToCsv(WindowReq),
    #[prost(message, tag = "26")]
    ToRows(TextReq),
    #[prost(message, tag = "29")]
    OnTableDelete(Empty),
    #[prost(message, tag = "30")]
    RemoveTableDelete(RemoveReq),
    #[prost(message, tag = "34")]
    OnViewDelete(Empty),
    #[prost(message, tag = "35")]
    RemoveViewDelete(RemoveReq),
    #[prost(message, tag = "36")]
    ToNdjson(TextReq),
    #[prost(message, tag = "37")]
    RemoveHostedTables(RemoveReq),
    #[prost(message, tag = "39")]
    OnRemove(Empty),
    #[prost(message, tag = "40")]
    RemoveOnRemove(RemoveReq),
    #[prost(message, tag = "41")]
    Describe(DescribeReq),
}

/// A response to the request with this number.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Response {
    #[prost(uint32, tag = "1")]
    pub(crate) msg_id: u32,
    #[prost(string, tag = "2")]
    pub(crate) entity_id: String,
    #[prost(
        oneof = "ServerMessage",
        tags = "3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, \
                26, 29, 30, 34, 35, 36, 37, 39, 40, 41, 50"
    )]
    pub(crate) message: Option<ServerMessage>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum ServerMessage {
    #[prost(message, tag = "3")]
    Features(FeaturesResp),
    #[prost(message, tag = "4")]
    HostedTables(HostedTablesResp),
    #[prost(message, tag = "5")]
    MakePort(Number),
    #[prost(message, tag = "6")]
    MakeView(Text),
    #[prost(message, tag = "7")]
    TableSchema(TableSchemaResp),
    #[prost(message, tag = "8")]
    TableSize(TableSizeResp),
    #[prost(message, tag = "10")]
    ColumnPaths(ColumnPathsResp),
    #[prost(message, tag = "11")]
    DeleteView(Empty),
    #[prost(message, tag = "12")]
    Dimensions(DimensionsResp),
    #[prost(message, tag = "13")]
    ExpressionSchema(Types),
    #[prost(message, tag = "14")]
    Config(ConfigResp),
    #[prost(message, tag = "15")]
    ViewSchema(Types),
    #[prost(message, tag = "16")]
    ToArrow(Data),
    #[prost(message, tag = "17")]
    SystemInfo(SystemInfoResp),
    #[prost(message, tag = "18")]
    Collapse(Number),
    #[prost(message, tag = "19")]
    Expand(Number),
    #[prost(message, tag = "20")]
    MinMax(MinMaxResp),
    #[prost(message, tag = "21")]
    OnUpdate(OnUpdateResp),
    #[prost(message, tag = "22")]
    RemoveOnUpdate(Empty),
    #[prost(message, tag = "23")]
    SetDepth(Empty),
    #[prost(message, tag = "24")]
    ToColumns(Text),
    #[prost(message, tag = "25")]
    ToCsv(Text),
    #[prost(message, tag = "26")]
    ToRows(Text),
    #[prost(message, tag = "29")]
    OnTableDelete(Empty),
    #[prost(message, tag = "30")]
    RemoveTableDelete(Empty),
    #[prost(message, tag = "34")]
    OnViewDelete(Empty),
    #[prost(message, tag = "35")]
    RemoveViewDelete(Empty),
    #[prost(message, tag = "36")]
    ToNdjson(Text),
    #[prost(message, tag = "37")]
    RemoveHostedTables(Empty),
    #[prost(message, tag = "39")]
    OnRemove(Empty),
    #[prost(message, tag = "40")]
    RemoveOnRemove(Empty),
    #[prost(message, tag = "41")]
    Describe(DescribeResp),
    #[prost(message, tag = "50")]
    Error(ErrorResp),
}

/// A message without fields.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Empty {}

/// A response with one string.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Text {
    #[prost(string, tag = "1")]
    pub(crate) text: String,
}

/// A response with one number.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Number {
    #[prost(uint32, tag = "1")]
    pub(crate) number: u32,
}

/// A response in Arrow's stream format.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Data {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) arrow: bytes::Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ErrorResp {
    #[prost(string, tag = "1")]
    pub(crate) message: String,
    #[prost(enumeration = "ErrorCode", tag = "2")]
    pub(crate) code: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub(crate) enum ErrorCode {
    Failed = 0,
    NoView = 1,
}

/// The types of columns in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub(crate) enum ColumnType {
    String = 0,
    Date = 1,
    Datetime = 2,
    Integer = 3,
    Float = 4,
    Boolean = 5,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Scalar {
    #[prost(oneof = "ScalarValue", tags = "1, 4, 6, 7")]
    pub(crate) value: Option<ScalarValue>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum ScalarValue {
    #[prost(bool, tag = "1")]
    Bool(bool),
    #[prost(double, tag = "4")]
    Float(f64),
    #[prost(string, tag = "6")]
    String(String),
    /// The only value is 0.
    #[prost(int32, tag = "7")]
    Null(i32),
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct HostedTablesReq {
    #[prost(bool, tag = "1")]
    pub(crate) subscribe: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HostedTablesResp {
    #[prost(message, repeated, tag = "1")]
    pub(crate) tables: Vec<HostedTable>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HostedTable {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, optional, tag = "2")]
    pub(crate) index: Option<String>,
    #[prost(uint32, optional, tag = "3")]
    pub(crate) limit: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MakeViewReq {
    #[prost(string, tag = "1")]
    pub(crate) view: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) config: Option<Config>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DescribeReq {
    #[prost(message, optional, tag = "1")]
    pub(crate) config: Option<Config>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DescribeResp {
    #[prost(btree_map = "string, enumeration(ColumnType)", tag = "1")]
    pub(crate) expressions: BTreeMap<String, i32>,
    #[prost(btree_map = "string, message", tag = "2")]
    pub(crate) errors: BTreeMap<String, ExpressionError>,
    #[prost(oneof = "Described", tags = "3, 4")]
    pub(crate) result: Option<Described>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Described {
    #[prost(message, tag = "3")]
    View(Types),
    #[prost(string, tag = "4")]
    Error(String),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ExpressionError {
    #[prost(string, tag = "1")]
    pub(crate) message: String,
    #[prost(uint32, tag = "2")]
    pub(crate) line: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) column: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TableSchemaResp {
    #[prost(message, optional, tag = "1")]
    pub(crate) schema: Option<Schema>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Schema {
    #[prost(message, repeated, tag = "1")]
    pub(crate) columns: Vec<NameAndType>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct NameAndType {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(enumeration = "ColumnType", tag = "2")]
    pub(crate) ty: i32,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct TableSizeResp {
    #[prost(uint32, tag = "2")]
    pub(crate) size: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Types {
    #[prost(btree_map = "string, enumeration(ColumnType)", tag = "1")]
    pub(crate) schema: BTreeMap<String, i32>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct DimensionsResp {
    #[prost(uint32, tag = "1")]
    pub(crate) table_rows: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) table_columns: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) view_rows: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) view_columns: u32,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct ColumnPathsReq {
    #[prost(uint32, optional, tag = "1")]
    pub(crate) start: Option<u32>,
    #[prost(uint32, optional, tag = "2")]
    pub(crate) end: Option<u32>,
}

/// One level of the column paths: one value per column.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ColumnPathsResp {
    #[prost(message, repeated, tag = "2")]
    pub(crate) levels: Vec<PathLevel>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PathLevel {
    #[prost(message, repeated, tag = "1")]
    pub(crate) values: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ConfigResp {
    #[prost(message, optional, tag = "1")]
    pub(crate) config: Option<Config>,
}

/// A part of a view: ranges of rows and columns, without their ends.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct ViewPort {
    #[prost(uint32, optional, tag = "1")]
    pub(crate) start_row: Option<u32>,
    #[prost(uint32, optional, tag = "2")]
    pub(crate) start_column: Option<u32>,
    #[prost(uint32, optional, tag = "3")]
    pub(crate) end_row: Option<u32>,
    #[prost(uint32, optional, tag = "4")]
    pub(crate) end_column: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct WindowReq {
    #[prost(message, optional, tag = "1")]
    pub(crate) viewport: Option<ViewPort>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct TextReq {
    #[prost(message, optional, tag = "1")]
    pub(crate) viewport: Option<ViewPort>,
    #[prost(bool, optional, tag = "2")]
    pub(crate) id: Option<bool>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct RowReq {
    #[prost(uint32, tag = "1")]
    pub(crate) row: u32,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct DepthReq {
    #[prost(uint32, tag = "1")]
    pub(crate) depth: u32,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct RemoveReq {
    #[prost(uint32, tag = "1")]
    pub(crate) id: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MinMaxReq {
    #[prost(string, tag = "1")]
    pub(crate) column: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MinMaxResp {
    #[prost(message, optional, tag = "1")]
    pub(crate) min: Option<Scalar>,
    #[prost(message, optional, tag = "2")]
    pub(crate) max: Option<Scalar>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct OnUpdateReq {
    /// 0 requests the new rows.
    #[prost(int32, optional, tag = "1")]
    pub(crate) mode: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OnUpdateResp {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) delta: Option<bytes::Bytes>,
    #[prost(uint32, tag = "2")]
    pub(crate) port: u32,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct SystemInfoResp {
    #[prost(uint64, tag = "1")]
    pub(crate) heap_size: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) used_size: u64,
}

/// The configuration of a view.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Config {
    #[prost(string, repeated, tag = "1")]
    pub(crate) group_by: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(crate) split_by: Vec<String>,
    #[prost(message, optional, tag = "3")]
    pub(crate) columns: Option<Columns>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) filter: Vec<Filter>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) sort: Vec<Sort>,
    #[prost(btree_map = "string, string", tag = "6")]
    pub(crate) expressions: BTreeMap<String, String>,
    #[prost(btree_map = "string, message", tag = "7")]
    pub(crate) aggregates: BTreeMap<String, Aggregate>,
    /// 0 combines the filters with AND, 1 with OR.
    #[prost(int32, tag = "8")]
    pub(crate) filter_op: i32,
    #[prost(uint32, optional, tag = "9")]
    pub(crate) group_by_depth: Option<u32>,
    #[prost(enumeration = "RollupMode", optional, tag = "10")]
    pub(crate) rollup: Option<i32>,
    #[prost(btree_map = "string, message", tag = "11")]
    pub(crate) windows: BTreeMap<String, Empty>,
    #[prost(int32, optional, tag = "12")]
    pub(crate) split_rollup: Option<i32>,
}

/// A selection of columns; all if it is absent.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Columns {
    #[prost(oneof = "WhichColumns", tags = "1, 2")]
    pub(crate) which: Option<WhichColumns>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum WhichColumns {
    #[prost(int32, tag = "1")]
    Default(i32),
    #[prost(message, tag = "2")]
    These(Names),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Names {
    #[prost(string, repeated, tag = "1")]
    pub(crate) names: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Filter {
    #[prost(string, tag = "1")]
    pub(crate) column: String,
    #[prost(string, tag = "2")]
    pub(crate) op: String,
    #[prost(message, repeated, tag = "3")]
    pub(crate) value: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Sort {
    #[prost(string, tag = "1")]
    pub(crate) column: String,
    #[prost(enumeration = "SortOp", tag = "2")]
    pub(crate) op: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub(crate) enum SortOp {
    None = 0,
    Asc = 1,
    Desc = 2,
    ColAsc = 3,
    ColDesc = 4,
    AscAbs = 5,
    DescAbs = 6,
    ColAscAbs = 7,
    ColDescAbs = 8,
}

/// The name of an aggregate, and the columns that it needs in addition to its own.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Aggregate {
    #[prost(string, repeated, tag = "1")]
    pub(crate) parts: Vec<String>,
}

/// The rows of a grouped view: all levels, the innermost groups, or one total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub(crate) enum RollupMode {
    Rollup = 0,
    Flat = 1,
    Total = 2,
}

/// The features of the server.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FeaturesResp {
    #[prost(bool, tag = "1")]
    pub(crate) group_by: bool,
    #[prost(bool, tag = "2")]
    pub(crate) split_by: bool,
    #[prost(bool, tag = "3")]
    pub(crate) expressions: bool,
    #[prost(bool, tag = "4")]
    pub(crate) on_update: bool,
    #[prost(bool, tag = "5")]
    pub(crate) sort: bool,
    #[prost(btree_map = "uint32, message", tag = "6")]
    pub(crate) filter_ops: BTreeMap<u32, Names>,
    #[prost(btree_map = "uint32, message", tag = "7")]
    pub(crate) aggregates: BTreeMap<u32, AggregateOptions>,
    #[prost(enumeration = "RollupMode", repeated, tag = "8")]
    pub(crate) rollups: Vec<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AggregateOptions {
    #[prost(message, repeated, tag = "1")]
    pub(crate) aggregates: Vec<AggregateOption>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AggregateOption {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(enumeration = "ColumnType", repeated, tag = "2")]
    pub(crate) args: Vec<i32>,
}

impl From<ScalarValue> for Scalar {
    fn from(value: ScalarValue) -> Self {
        Self { value: Some(value) }
    }
}

impl Response {
    /// Encodes the message.
    pub(crate) fn to_bytes(&self) -> bytes::Bytes {
        self.encode_to_vec().into()
    }
}
