//! The handler of each request.

use std::collections::HashMap;
use std::sync::Arc;

use streamtable_schema::TablePath;
use streamtable_store::StoreError;
use tokio::sync::SemaphorePermit;

use super::LiveConnection;
use super::describe::{computed_types, describe, view_schema};
use crate::config::ViewConfig;
use crate::error::LiveError;
use crate::features::features;
use crate::page_view::{PageView, check_subscriptions};
use crate::proto::{
    ClientMessage as Client, ColumnPathsReq, ColumnPathsResp, ConfigResp, Data, DescribeReq,
    DescribeResp, DimensionsResp, Empty, HostedTable, HostedTablesResp, MakeViewReq, MinMaxResp,
    NameAndType, Number, PathLevel, Scalar, ScalarValue, Schema, ServerMessage as Server,
    SystemInfoResp, TableSchemaResp, TableSizeResp, Text, Types, ViewPort,
};
use crate::table_reader::TableReader;
use crate::view::ViewSnapshot;
use crate::window::Window;

/// Maximum number of open views per page.
const MAX_VIEWS: usize = 128;

/// A page's view, its current state, and the permit to read it.
type Opened<'a> = (Arc<PageView>, Arc<ViewSnapshot>, Option<SemaphorePermit<'a>>);

impl LiveConnection {
    /// Handles a request about the table or the view named `id`. Returns the response; `None` if it
    /// is sent later.
    pub(super) async fn handle(
        self: &Arc<Self>,
        msg_id: u32,
        id: &str,
        message: Client,
    ) -> Result<Option<Server>, LiveError> {
        Ok(Some(match message {
            // The server.
            Client::Features(_) => Server::Features(features()),
            Client::HostedTables(request) if request.subscribe => return Ok(None),
            Client::HostedTables(_) => Server::HostedTables(self.tables().await?),
            Client::RemoveHostedTables(_) => Server::RemoveHostedTables(Empty {}),
            Client::MakePort(_) => Server::MakePort(Number { number: 0 }),
            Client::SystemInfo(_) => {
                Server::SystemInfo(SystemInfoResp { heap_size: 0, used_size: 0 })
            }

            // A table. Tables and rows are never deleted.
            Client::TableSchema(_) => Server::TableSchema(self.table_schema(id).await?),
            Client::TableSize(_) => Server::TableSize(self.table_size(id).await?),
            Client::Describe(request) => Server::Describe(self.describe(id, request).await?),
            Client::MakeView(request) => Server::MakeView(self.make_view(id, request).await?),
            Client::OnTableDelete(_) | Client::OnRemove(_) => return Ok(None),
            Client::RemoveTableDelete(_) => Server::RemoveTableDelete(Empty {}),
            Client::RemoveOnRemove(_) => Server::RemoveOnRemove(Empty {}),

            // Subscriptions to a view, and its end.
            Client::OnUpdate(request) => {
                self.view(id)?.subscribe(self, msg_id, request.mode.is_some())?;
                return Ok(None);
            }
            Client::RemoveOnUpdate(request) => {
                self.view(id)?.unsubscribe(request.id);
                Server::RemoveOnUpdate(Empty {})
            }
            Client::OnViewDelete(_) => {
                self.view(id)?;
                let mut on_delete = self.on_delete.lock();
                let waiting = on_delete.entry(id.to_owned()).or_default();
                check_subscriptions(waiting.len())?;
                waiting.push(msg_id);
                return Ok(None);
            }
            Client::RemoveViewDelete(request) => {
                if let Some(ids) = self.on_delete.lock().get_mut(id) {
                    ids.retain(|&it| it != request.id);
                }
                Server::RemoveViewDelete(Empty {})
            }
            Client::DeleteView(_) => Server::DeleteView(self.delete_view(id).await),

            // The groups of a view.
            Client::Collapse(request) => {
                let changed = self.view(id)?.set_open(request.row, false).await?;
                Server::Collapse(Number { number: changed })
            }
            Client::Expand(request) => {
                let changed = self.view(id)?.set_open(request.row, true).await?;
                Server::Expand(Number { number: changed })
            }
            Client::SetDepth(request) => {
                self.view(id)?.set_depth(request.depth);
                Server::SetDepth(Empty {})
            }

            // The shape of a view.
            Client::Dimensions(_) => Server::Dimensions(self.dimensions(id).await?),
            Client::ColumnPaths(request) => {
                let (view, now, _permit) = self.open(id).await?;
                Server::ColumnPaths(column_paths(&view.view.column_paths(&now).await?, request))
            }
            Client::ViewSchema(_) => {
                let (view, now, _permit) = self.open(id).await?;
                let schema = view_schema(&view.view.config, now.columns())?;
                Server::ViewSchema(Types { schema })
            }
            Client::ExpressionSchema(_) => {
                let (_, now, _permit) = self.open(id).await?;
                Server::ExpressionSchema(Types { schema: computed_types(now.columns()) })
            }
            Client::Config(_) => {
                let (view, now, _permit) = self.open(id).await?;
                let columns = now.shown().iter().map(|it| it.name.clone()).collect();
                Server::Config(ConfigResp { config: Some(view.view.config.to_proto(columns)) })
            }
            Client::MinMax(request) => {
                let (view, now, _permit) = self.open(id).await?;
                let (min, max) = view.view.min_max(&now, &request.column).await?;
                Server::MinMax(MinMaxResp { min: Some(min), max: Some(max) })
            }

            // The rows of a view.
            Client::ToArrow(request) => {
                let window = self.window(id, request.viewport).await?;
                Server::ToArrow(Data { arrow: window.to_arrow()?.into() })
            }
            Client::ToColumns(request) => {
                let window = self.window(id, request.viewport).await?;
                Server::ToColumns(Text { text: window.to_columns(request.id.unwrap_or(false)) })
            }
            Client::ToRows(request) => {
                Server::ToRows(Text { text: self.window(id, request.viewport).await?.to_rows() })
            }
            Client::ToNdjson(request) => {
                let window = self.window(id, request.viewport).await?;
                Server::ToNdjson(Text { text: window.to_ndjson() })
            }
            Client::ToCsv(request) => {
                Server::ToCsv(Text { text: self.window(id, request.viewport).await?.to_csv() })
            }
        }))
    }

    async fn tables(&self) -> Result<HostedTablesResp, LiveError> {
        let tables = self.access.store.tables().await?.into_iter().map(|table| table.path);
        let tables = tables.filter(|path| self.viewer.sees(path));
        let table =
            |path: TablePath| HostedTable { name: path.to_string(), index: None, limit: None };
        Ok(HostedTablesResp { tables: tables.map(table).collect() })
    }

    /// Returns a reader of a table. A table that the viewer may not see counts as nonexistent.
    fn reader(&self, name: &str) -> Result<TableReader, LiveError> {
        let nothing = || LiveError::refused(format!("no table {name}"));
        let table: TablePath = name.parse().map_err(|_| nothing())?;
        if !self.viewer.sees(&table) {
            let key = &self.viewer.name;
            tracing::warn!(target: "audit", key, %table, "refused to show a table");
            return Err(StoreError::NoTable { table }.into());
        }
        Ok(TableReader::new(self.access.clone(), table))
    }

    async fn table_schema(&self, name: &str) -> Result<TableSchemaResp, LiveError> {
        let columns = self.reader(name)?.columns(&ViewConfig::default()).await?;
        let columns = columns
            .all
            .iter()
            .map(|column| NameAndType { name: column.name.clone(), ty: column.ty() as i32 });
        Ok(TableSchemaResp { schema: Some(Schema { columns: columns.collect() }) })
    }

    async fn table_size(&self, name: &str) -> Result<TableSizeResp, LiveError> {
        let rows = self.reader(name)?.info().await?.summary.rows;
        Ok(TableSizeResp { size: saturate(rows) })
    }

    async fn describe(&self, table: &str, request: DescribeReq) -> Result<DescribeResp, LiveError> {
        let config = ViewConfig::from_proto(request.config.unwrap_or_default())?;
        let _permit = self.permit().await;
        describe(&self.reader(table)?, config).await
    }

    async fn make_view(&self, table: &str, request: MakeViewReq) -> Result<Text, LiveError> {
        let config = ViewConfig::from_proto(request.config.unwrap_or_default())?;
        let reader = self.reader(table)?;
        let check_is_new = |views: &HashMap<String, Arc<PageView>>| {
            if views.len() >= MAX_VIEWS {
                return Err(LiveError::refused(format!("a page has at most {MAX_VIEWS} views")));
            }
            if views.contains_key(&request.view) {
                return Err(LiveError::refused("a view with this name already exists"));
            }
            Ok(())
        };
        check_is_new(&self.views.lock())?;
        let view = self.cache.view(&self.viewer.name, &reader, config).await?;
        let _permit = self.permit().await;
        // Errors in the configuration are reported now, not by the first read.
        let made = view.snapshot().await?;
        // For other views of the table, the columns may be new.
        let is_known = self.shapes.lock().contains_key(&reader.table);
        if is_known {
            self.notify_schema_change(&reader.table, made.table_shape()).await;
        } else {
            self.shapes.lock().insert(reader.table.clone(), made.table_shape().clone());
        }
        let open = Arc::new(PageView::new(request.view.clone(), view, made, &self.closed));
        let mut views = self.views.lock();
        check_is_new(&views)?;
        views.insert(request.view.clone(), open);
        Ok(Text { text: request.view })
    }

    async fn delete_view(&self, id: &str) -> Empty {
        let view = self.views.lock().remove(id);
        if let Some(view) = view {
            // Pending requests about the view also hold it, so dropping it here is not enough.
            view.deleted.cancel();
            let waiting = self.on_delete.lock().remove(id).unwrap_or_default();
            for msg_id in waiting {
                self.send(msg_id, id.to_owned(), Server::OnViewDelete(Empty {})).await;
            }
        }
        Empty {}
    }

    async fn dimensions(&self, id: &str) -> Result<DimensionsResp, LiveError> {
        let (view, now, _permit) = self.open(id).await?;
        let columns = view.view.column_paths(&now).await?.len();
        Ok(DimensionsResp {
            table_rows: saturate(now.table_rows()),
            table_columns: saturate(now.table_columns() as u64),
            view_rows: saturate(view.rows(&now)),
            view_columns: saturate(columns as u64),
        })
    }

    fn view(&self, id: &str) -> Result<Arc<PageView>, LiveError> {
        self.views.lock().get(id).cloned().ok_or(LiveError::NoView)
    }

    /// Waits for the permit to read a view. Never `None`: the semaphore is never closed.
    async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        self.running.acquire().await.ok()
    }

    /// Waits for the permit to read a view, and returns the view's current state.
    async fn open(&self, id: &str) -> Result<Opened<'_>, LiveError> {
        let view = self.view(id)?;
        let permit = self.permit().await;
        let now = view.view.snapshot().await?;
        Ok((view, now, permit))
    }

    async fn window(&self, id: &str, viewport: Option<ViewPort>) -> Result<Window, LiveError> {
        let viewport = viewport.unwrap_or_default();
        let range = |start: Option<u32>, end: Option<u32>| {
            let start = start.unwrap_or(0) as usize;
            start..end.map_or(usize::MAX, |end| (end as usize).max(start))
        };
        let rows = range(viewport.start_row, viewport.end_row);
        let columns = range(viewport.start_column, viewport.end_column);
        let (view, now, _permit) = self.open(id).await?;
        view.window(&now, rows, columns).await
    }
}

/// The protocol has 32-bit numbers of rows; larger ones become the largest.
fn saturate(n: u64) -> u32 {
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
