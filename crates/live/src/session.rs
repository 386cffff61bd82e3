//! What a page asks, and what it is told.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use prost::Message as _;
use streamtable_schema::TablePath;
use streamtable_store::StoreError;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::aggregate::aggregate;
use crate::config::ViewConfig;
use crate::error::LiveError;
use crate::features::features;
use crate::hub::Hub;
use crate::open::OpenView;
use crate::proto::{
    Ask, ColumnPathsReq, ColumnPathsResp, ColumnType, ConfigResp, Data, DescribeResp, Described,
    DimensionsResp, Empty, ErrorCode, ErrorResp, ExpressionError, HostedTable, HostedTablesResp,
    MakeViewReq, MinMaxResp, NameAndType, Number, PathLevel, Request, Response, Say, Scalar,
    ScalarValue, Schema, SystemInfoResp, TableSchemaResp, TableSizeResp, Text, Types, ViewPort,
};
use crate::shape::Column;
use crate::source::TableAccess;
use crate::source::{Columns, Source, TableShape};
use crate::sql;
use crate::view::Computed;
use crate::window::Window;

/// How many views a page may have at once.
const MAX_VIEWS: usize = 128;

/// How many of its requests may wait for their answers.
const MAX_REQUESTS: usize = 256;

/// How many are carried out at once.
const MAX_AT_ONCE: usize = 4;

/// The reader of a page.
#[derive(Clone, Debug)]
pub struct Viewer {
    /// The name of the reader's key, for the audit log.
    pub name: String,
    /// The entities whose tables the reader may see; `None` for all.
    pub entities: Option<Vec<String>>,
}

impl Viewer {
    fn sees(&self, table: &TablePath) -> bool {
        let Some(entities) = &self.entities else { return true };
        entities.iter().any(|entity| entity == table.entity())
    }
}

/// A message to a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// A message of the protocol, in binary.
    Message(Bytes),
    /// A notice to the page itself, as JSON.
    Notice(String),
}

/// The connection of a page: its open views, and the requests that it waits for.
#[derive(Debug)]
pub struct Session {
    access: TableAccess,
    hub: Arc<Hub>,
    viewer: Viewer,
    out: mpsc::Sender<Outgoing>,
    views: Mutex<HashMap<String, Arc<OpenView>>>,
    /// Those who want to hear when a view is deleted: the request's number, by the view.
    on_delete: Mutex<HashMap<String, Vec<u32>>>,
    /// The columns of tables as the page knows them.
    shapes: Mutex<HashMap<TablePath, TableShape>>,
    pub(crate) visible: watch::Sender<bool>,
    requests: Arc<Semaphore>,
    at_once: Arc<Semaphore>,
    closed: CancellationToken,
}

impl Session {
    /// Starts a connection, whose messages to the page go to `out`. They wait while `out` is full.
    pub fn new(
        access: TableAccess,
        hub: Arc<Hub>,
        viewer: Viewer,
        out: mpsc::Sender<Outgoing>,
    ) -> Arc<Self> {
        Arc::new(Self {
            access,
            hub,
            viewer,
            out,
            views: Mutex::default(),
            on_delete: Mutex::default(),
            shapes: Mutex::default(),
            visible: watch::Sender::new(true),
            requests: Arc::new(Semaphore::new(MAX_REQUESTS)),
            at_once: Arc::new(Semaphore::new(MAX_AT_ONCE)),
            closed: CancellationToken::new(),
        })
    }

    /// Ends all requests, and closes the views.
    pub fn close(&self) {
        self.closed.cancel();
        self.views.lock().clear();
    }

    /// Records whether the page is visible to the user.
    pub fn set_visible(&self, visible: bool) {
        self.visible.send_replace(visible);
    }

    /// Starts to handle a request. Waits while too many requests are pending.
    pub async fn receive(self: &Arc<Self>, bytes: Bytes) {
        let Ok(permit) = Arc::clone(&self.requests).acquire_owned().await else { return };
        let request = match Request::decode(bytes) {
            Ok(request) => request,
            Err(error) => {
                tracing::debug!(%error, "a page sent what is no request");
                return;
            }
        };
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let _permit = permit;
            let closed = this.closed.clone();
            tokio::select! {
                () = closed.cancelled() => {}
                () = this.answer(request) => {}
            }
        });
    }

    async fn answer(self: &Arc<Self>, request: Request) {
        let Request { msg_id, entity_id, ask } = request;
        let result = match ask {
            Some(ask @ Ask::DeleteView(_)) => self.carry_out(msg_id, &entity_id, ask).await,
            Some(ask) => {
                let view = self.views.lock().get(&entity_id).map(|view| view.deleted.clone());
                // What is asked of a view ends with it.
                let deleted = async {
                    match view {
                        Some(deleted) => deleted.cancelled_owned().await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = deleted => Err(LiveError::NoView),
                    result = self.carry_out(msg_id, &entity_id, ask) => result,
                }
            }
            None => Err(LiveError::refused("the server does not do this")),
        };
        let say = match result {
            Ok(Some(say)) => say,
            Ok(None) => return,
            Err(error) => Say::Error(ErrorResp {
                code: match error {
                    LiveError::NoView => ErrorCode::NoView,
                    LiveError::Refused { .. } | LiveError::Failed { .. } => ErrorCode::Failed,
                } as i32,
                message: error.to_string(),
            }),
        };
        self.tell(msg_id, entity_id, say).await;
    }

    /// Says something; waits while the page is slow. Tells whether it is still there.
    pub(crate) async fn tell(&self, msg_id: u32, entity_id: String, say: Say) -> bool {
        let message = Response { msg_id, entity_id, say: Some(say) };
        self.out.send(Outgoing::Message(message.to_bytes())).await.is_ok()
    }

    /// Tells the page that a table's columns are not those that it knows, once each time.
    pub(crate) async fn note(&self, table: &TablePath, shape: &TableShape) {
        if self.shapes.lock().get(table) == Some(shape) {
            return;
        }
        self.shapes.lock().insert(table.clone(), shape.clone());
        let text = serde_json::json!({ "schema": table.to_string() }).to_string();
        // Whoever has gone needs no note.
        let _ = self.out.send(Outgoing::Notice(text)).await;
    }

    /// Returns the answer; none where it comes later.
    async fn carry_out(
        self: &Arc<Self>,
        msg_id: u32,
        id: &str,
        ask: Ask,
    ) -> Result<Option<Say>, LiveError> {
        Ok(Some(match ask {
            Ask::Features(_) => Say::Features(features()),
            Ask::HostedTables(request) => {
                if request.subscribe {
                    return Ok(None);
                }
                Say::HostedTables(self.tables().await?)
            }
            Ask::TableSchema(_) => {
                let columns = self.source(id)?.columns(&ViewConfig::default()).await?;
                let columns = columns.all.iter().map(|column| NameAndType {
                    name: column.name.clone(),
                    ty: column.ty() as i32,
                });
                Say::TableSchema(TableSchemaResp {
                    schema: Some(Schema { columns: columns.collect() }),
                })
            }
            Ask::TableSize(_) => {
                let rows = self.source(id)?.info().await?.summary.rows;
                Say::TableSize(TableSizeResp { size: clamp(rows) })
            }
            Ask::Describe(request) => {
                let config = ViewConfig::from_proto(request.config.unwrap_or_default())?;
                let _turn = self.turn().await;
                Say::Describe(describe(&self.source(id)?, config).await?)
            }
            Ask::MakeView(request) => Say::MakeView(self.make_view(id, request).await?),
            Ask::DeleteView(_) => {
                let view = self.views.lock().remove(id);
                if let Some(view) = view {
                    // What is asked of it holds it too.
                    view.deleted.cancel();
                    let waiting = self.on_delete.lock().remove(id).unwrap_or_default();
                    for msg_id in waiting {
                        self.tell(msg_id, id.to_owned(), Say::OnViewDelete(Empty {})).await;
                    }
                }
                Say::DeleteView(Empty {})
            }
            Ask::OnViewDelete(_) => {
                self.view(id)?;
                self.on_delete.lock().entry(id.to_owned()).or_default().push(msg_id);
                return Ok(None);
            }
            Ask::RemoveViewDelete(request) => {
                if let Some(ids) = self.on_delete.lock().get_mut(id) {
                    ids.retain(|&it| it != request.id);
                }
                Say::RemoveViewDelete(Empty {})
            }
            Ask::OnUpdate(request) => {
                self.view(id)?.subscribe(self, msg_id, request.mode.is_some());
                return Ok(None);
            }
            Ask::RemoveOnUpdate(request) => {
                self.view(id)?.unsubscribe(request.id);
                Say::RemoveOnUpdate(Empty {})
            }
            Ask::Collapse(request) => {
                let changed = self.view(id)?.set_open(request.row, false).await?;
                Say::Collapse(Number { number: changed })
            }
            Ask::Expand(request) => {
                let changed = self.view(id)?.set_open(request.row, true).await?;
                Say::Expand(Number { number: changed })
            }
            Ask::SetDepth(request) => {
                self.view(id)?.set_depth(request.depth);
                Say::SetDepth(Empty {})
            }
            Ask::Dimensions(_) => {
                let (view, now, _turn) = self.look(id).await?;
                let columns = view.view.column_paths(&now).await?.len();
                Say::Dimensions(DimensionsResp {
                    table_rows: clamp(now.table_rows()),
                    table_columns: clamp(now.table_columns() as u64),
                    view_rows: clamp(view.rows(&now)),
                    view_columns: clamp(columns as u64),
                })
            }
            Ask::ColumnPaths(request) => {
                let (view, now, _turn) = self.look(id).await?;
                Say::ColumnPaths(column_paths(&view.view.column_paths(&now).await?, request))
            }
            Ask::ViewSchema(_) => {
                let (view, now, _turn) = self.look(id).await?;
                Say::ViewSchema(Types { schema: view_schema(&view.view.config, now.columns())? })
            }
            Ask::ExpressionSchema(_) => {
                let (_, now, _turn) = self.look(id).await?;
                Say::ExpressionSchema(Types { schema: computed(now.columns()) })
            }
            Ask::Config(_) => {
                let (view, now, _turn) = self.look(id).await?;
                let columns = now.shown().iter().map(|it| it.name.clone()).collect();
                Say::Config(ConfigResp { config: Some(view.view.config.to_proto(columns)) })
            }
            Ask::MinMax(request) => {
                let (view, now, _turn) = self.look(id).await?;
                let (min, max) = view.view.min_max(&now, &request.column).await?;
                Say::MinMax(MinMaxResp { min: Some(min), max: Some(max) })
            }
            Ask::ToArrow(request) => {
                let window = self.window(id, request.viewport).await?;
                Say::ToArrow(Data { arrow: window.to_arrow()?.into() })
            }
            Ask::ToColumns(request) => {
                let window = self.window(id, request.viewport).await?;
                Say::ToColumns(Text { text: window.to_columns(request.id.unwrap_or(false)) })
            }
            Ask::ToRows(request) => {
                Say::ToRows(Text { text: self.window(id, request.viewport).await?.to_rows() })
            }
            Ask::ToNdjson(request) => {
                Say::ToNdjson(Text { text: self.window(id, request.viewport).await?.to_ndjson() })
            }
            Ask::ToCsv(request) => {
                Say::ToCsv(Text { text: self.window(id, request.viewport).await?.to_csv() })
            }
            Ask::MakePort(_) => Say::MakePort(Number { number: 0 }),
            Ask::SystemInfo(_) => Say::SystemInfo(SystemInfoResp { heap_size: 0, used_size: 0 }),
            // No table is ever deleted, and no row taken out of one.
            Ask::OnTableDelete(_) | Ask::OnRemove(_) => return Ok(None),
            Ask::RemoveTableDelete(_) => Say::RemoveTableDelete(Empty {}),
            Ask::RemoveOnRemove(_) => Say::RemoveOnRemove(Empty {}),
            Ask::RemoveHostedTables(_) => Say::RemoveHostedTables(Empty {}),
        }))
    }

    async fn tables(&self) -> Result<HostedTablesResp, LiveError> {
        let tables = self.access.store.tables().await?.into_iter().map(|table| table.path);
        let tables = tables.filter(|path| self.viewer.sees(path));
        let table =
            |path: TablePath| HostedTable { name: path.to_string(), index: None, limit: None };
        Ok(HostedTablesResp { tables: tables.map(table).collect() })
    }

    /// Finds a table that the page may see; others are not there.
    fn source(&self, name: &str) -> Result<Source, LiveError> {
        let nothing = || LiveError::refused(format!("no table {name}"));
        let table: TablePath = name.parse().map_err(|_| nothing())?;
        if !self.viewer.sees(&table) {
            let key = &self.viewer.name;
            tracing::warn!(target: "audit", key, %table, "refused to show a table");
            return Err(StoreError::NoTable { table }.into());
        }
        Ok(Source::new(self.access.clone(), table))
    }

    fn view(&self, id: &str) -> Result<Arc<OpenView>, LiveError> {
        self.views.lock().get(id).cloned().ok_or(LiveError::NoView)
    }

    /// Waits until few enough requests are carried out.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.at_once.acquire().await.ok()
    }

    async fn make_view(&self, table: &str, request: MakeViewReq) -> Result<Text, LiveError> {
        let config = ViewConfig::from_proto(request.config.unwrap_or_default())?;
        let source = self.source(table)?;
        let is_new = |views: &HashMap<String, Arc<OpenView>>| {
            if views.len() >= MAX_VIEWS {
                return Err(LiveError::refused(format!("a page has at most {MAX_VIEWS} views")));
            }
            if views.contains_key(&request.view) {
                return Err(LiveError::refused("there is a view of this name already"));
            }
            Ok(())
        };
        is_new(&self.views.lock())?;
        let view = self.hub.view(&source, config).await?;
        let _turn = self.turn().await;
        // What cannot be shown is told at once.
        let made = view.computed().await?;
        self.shapes.lock().insert(source.table.clone(), made.table_shape().clone());
        let open = Arc::new(OpenView::new(request.view.clone(), view, made, &self.closed));
        let mut views = self.views.lock();
        is_new(&views)?;
        views.insert(request.view.clone(), open);
        Ok(Text { text: request.view })
    }

    /// Returns a view as it is, once it is its turn.
    async fn look(
        &self,
        id: &str,
    ) -> Result<(Arc<OpenView>, Arc<Computed>, Option<SemaphorePermit<'_>>), LiveError> {
        let view = self.view(id)?;
        let turn = self.turn().await;
        let now = view.view.computed().await?;
        Ok((view, now, turn))
    }

    async fn window(&self, id: &str, viewport: Option<ViewPort>) -> Result<Window, LiveError> {
        let viewport = viewport.unwrap_or_default();
        let range = |start: Option<u32>, end: Option<u32>| {
            let start = start.unwrap_or(0) as usize;
            start..end.map_or(usize::MAX, |end| (end as usize).max(start))
        };
        let rows = range(viewport.start_row, viewport.end_row);
        let columns = range(viewport.start_column, viewport.end_column);
        let (view, now, _turn) = self.look(id).await?;
        view.window(&now, rows, columns).await
    }
}

/// Numbers of rows beyond those that a page can count are the largest that it can.
fn clamp(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn column_paths(paths: &[Vec<String>], which: ColumnPathsReq) -> ColumnPathsResp {
    let start = (which.start.unwrap_or(0) as usize).min(paths.len());
    let end = which.end.map_or(paths.len(), |end| (end as usize).clamp(start, paths.len()));
    let depth = paths.first().map_or(1, Vec::len);
    let level = |level: usize| PathLevel {
        values: paths[start..end]
            .iter()
            .map(|path| Scalar::from(ScalarValue::String(path[level].clone())))
            .collect(),
    };
    ColumnPathsResp { levels: (0..depth).map(level).collect() }
}

/// The types of a view's columns, by the names of the table's.
fn view_schema(config: &ViewConfig, columns: &Columns) -> Result<BTreeMap<String, i32>, LiveError> {
    let ty = |column: &Column| -> Result<ColumnType, LiveError> {
        if !config.is_grouped() {
            return Ok(column.ty());
        }
        let how = config.aggregates.get(&column.name).map(Vec::as_slice).unwrap_or_default();
        let with = how.iter().skip(1).map(|name| Ok(Column::find(&columns.all, name)?.clone()));
        let with = with.collect::<Result<Vec<_>, LiveError>>()?;
        Ok(aggregate(how.first().map(String::as_str), column, &with)?.shape.ty())
    };
    let shown = columns.shown(config)?;
    shown.iter().map(|column| Ok((column.name.clone(), ty(column)? as i32))).collect()
}

/// The types of the columns that a view computes.
fn computed(columns: &Columns) -> BTreeMap<String, i32> {
    let computed = columns.all.iter().skip(columns.own);
    computed.map(|column| (column.name.clone(), column.ty() as i32)).collect()
}

/// Tells whether a view could be made, and what it would be.
async fn describe(source: &Source, config: ViewConfig) -> Result<DescribeResp, LiveError> {
    let mut resp = DescribeResp::default();
    match source.columns(&config).await {
        Ok(columns) => {
            resp.expressions = computed(&columns);
            let checked = sql::condition(&config, &columns.all)
                .and_then(|_| sql::order(&config, &columns.all))
                .and_then(|_| {
                    let mut named = config.group_by.iter().chain(&config.split_by);
                    named.try_for_each(|name| Column::find(&columns.all, name).map(|_| ()))
                })
                .and_then(|()| view_schema(&config, &columns));
            resp.result = Some(match checked {
                Ok(schema) => Described::View(Types { schema }),
                Err(error) => Described::Error(error.to_string()),
            });
            return Ok(resp);
        }
        Err(error) if config.expressions.is_empty() => return Err(error),
        Err(_) => {}
    }
    // Some expression is wrong: which?
    for (name, text) in &config.expressions {
        let expressions = BTreeMap::from([(name.clone(), text.clone())]);
        match source.columns(&ViewConfig { expressions, ..ViewConfig::default() }).await {
            Ok(columns) => resp.expressions.extend(computed(&columns)),
            Err(error) => {
                let error = ExpressionError { message: error.to_string(), line: 0, column: 0 };
                resp.errors.insert(name.clone(), error);
            }
        }
    }
    Ok(resp)
}
