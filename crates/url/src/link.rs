//! Whole links, built and parsed.

use percent_encoding::{percent_decode_str, utf8_percent_encode};
use streamtable_name::TablePath;

use crate::form::ENCODED;
use crate::{BaseUrl, Expr, FormError, ParseError, form_decode, form_encode};

/// Builds the link to a table's panel, as the Weave clients print it.
///
/// ```
/// use streamtable_url::panel_url;
///
/// assert_eq!(
///     panel_url(&"https://weave.wandb.ai".parse()?, &"stacey/mesa/my_stream_table".parse()?),
///     "https://weave.wandb.ai/?exp=get%28%0A++++%22wandb-artifact%3A%2F%2F%2Fstacey%2Fmesa\
///      %2Fmy_stream_table%3Alatest%2Fobj%22%29%0A++.rows"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn panel_url(board: &BaseUrl, table: &TablePath) -> String {
    expr_url(board, &Expr::rows_of(table.clone()))
}

/// Builds the link that opens an expression: `{board}/?exp=…`.
pub fn expr_url(board: &BaseUrl, expr: &Expr) -> String {
    format!("{board}/?exp={}", form_encode(&expr.to_string()))
}

/// Builds the link to a run's page: `{app}/{entity}/{project}/runs/{run}`.
///
/// The run that holds a table's rows has the table's name.
///
/// ```
/// use streamtable_url::run_url;
///
/// let url = run_url(&"https://wandb.ai".parse()?, "stacey", "my project", "my_stream_table");
/// assert_eq!(url, "https://wandb.ai/stacey/my%20project/runs/my_stream_table");
/// # Ok::<(), streamtable_url::BaseUrlError>(())
/// ```
pub fn run_url(app: &BaseUrl, entity: &str, project: &str, run: &str) -> String {
    let [entity, project, run] =
        [entity, project, run].map(|segment| utf8_percent_encode(segment, ENCODED));
    format!("{app}/{entity}/{project}/runs/{run}")
}

/// Parses the expression of a whole link, `https://host/?exp=…`.
///
/// Reads only the part between `?` and `#`.
pub fn parse_link(url: &str) -> Result<Expr, LinkError> {
    let url = url.split('#').next().unwrap_or_default();
    let (_, query) = url.split_once('?').ok_or(LinkError::NoExpression)?;
    parse_query(query)
}

/// Parses the expression of a query, `exp=…&x=y`, without `?`.
///
/// Uses the first `exp` and ignores all other parameters.
pub fn parse_query(query: &str) -> Result<Expr, LinkError> {
    let encoded = query.split('&').find_map(|pair| pair.strip_prefix("exp="));
    let text = form_decode(encoded.ok_or(LinkError::NoExpression)?).map_err(LinkError::Form)?;
    text.parse().map_err(|error| LinkError::Parse { text, error })
}

/// Returns the table whose page a path of other Weave clients shows, so that a server can redirect
/// the request.
///
/// The paths are `/wandb/E/P/table/T` (weave 0.25) and `/browse/wandb/E/P/table/T` (0.26 to 0.50),
/// each also below `/weave`. Returns `None` for any other path or for invalid names.
///
/// ```
/// use streamtable_url::table_of_path;
///
/// let table = table_of_path("/weave/browse/wandb/stacey/my%20project/table/scores");
/// assert_eq!(table, Some("stacey/my project/scores".parse()?));
/// assert_eq!(table_of_path("/stacey/mesa/runs/scores"), None);
/// # Ok::<(), streamtable_name::NameError>(())
/// ```
pub fn table_of_path(path: &str) -> Option<TablePath> {
    let path = path.strip_prefix('/')?;
    let path = path.strip_prefix("weave/").unwrap_or(path);
    let path = path.strip_prefix("browse/").unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    let parts: Vec<_> = path.split('/').collect();
    let ["wandb", entity, project, "table", table] = parts[..] else { return None };
    let decode = |part| percent_decode_str(part).decode_utf8().ok();
    TablePath::new(&decode(entity)?, &decode(project)?, &decode(table)?).ok()
}

/// The reason why a link has no valid expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The link has no `exp=`.
    #[error("the link has no expression: expected `?exp=…`")]
    NoExpression,
    /// The value of `exp=` cannot be decoded; the position is an offset in that value.
    #[error("the expression in the link cannot be decoded, {0}")]
    Form(FormError),
    /// The value of `exp=` is not an expression.
    #[error("{error}")]
    Parse {
        /// The decoded value, to which the positions refer.
        text: String,
        /// The position and reason.
        error: ParseError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = "https://weave.wandb.ai/?exp=get%28%0A++++%22wandb-artifact%3A%2F%2F%2F\
        stacey%2Fmesa%2Fmy_stream_table%3Alatest%2Fobj%22%29%0A++.rows";

    fn table(path: &str) -> TablePath {
        path.parse().unwrap()
    }

    #[test]
    fn the_documented_link() {
        let board = BaseUrl::board(None, "https://api.wandb.ai").unwrap();
        let table = table("stacey/mesa/my_stream_table");
        assert_eq!(panel_url(&board, &table), SEED);

        let expr = parse_link(SEED).unwrap();
        assert_eq!(expr.panel_table(), Some(&table));
        assert_eq!(expr_url(&board, &expr), SEED);
    }

    #[track_caller]
    fn opens(link: &str, path: &str) {
        assert_eq!(parse_link(link).unwrap().panel_table(), Some(&table(path)));
    }

    #[test]
    fn links() {
        opens(&format!("{SEED}&x=y#part?exp=z"), "stacey/mesa/my_stream_table");
        opens(&SEED.replace("?", "?a=b&expert=1&"), "stacey/mesa/my_stream_table");
        opens(&format!("{SEED}&exp=second"), "stacey/mesa/my_stream_table");
        // Older clients do not encode the names.
        opens(&SEED.replace("mesa", "été (1)"), "stacey/été (1)/my_stream_table");
        opens("?exp=get('wandb-artifact:///e/p/t:v0/obj').rows", "e/p/t");

        let no_panel = |link: &str| assert_eq!(parse_link(link).unwrap().panel_table(), None);
        no_panel(&format!("{SEED}.limit(1)"));
        no_panel(&SEED.replace("%2Fobj", "%2Fobj%23a%2Fb"));

        let board = "http://localhost:8080".parse().unwrap();
        let odd = table("e/a&b=\"c\" +é/t");
        assert_eq!(parse_link(&panel_url(&board, &odd)), Ok(Expr::rows_of(odd)));
    }

    #[track_caller]
    fn refuses(link: &str, message: &str) {
        assert_eq!(parse_link(link).unwrap_err().to_string(), message);
    }

    #[test]
    fn links_without_a_valid_expression() {
        let missing = "the link has no expression: expected `?exp=…`";
        refuses("", missing);
        refuses("https://weave.wandb.ai/", missing);
        refuses("https://weave.wandb.ai/?x=exp=y&exp", missing);
        refuses("https://weave.wandb.ai/#?exp=y", missing);
        refuses("/?exp=", "line 1, column 1: expected `get`, found the end");
        refuses("/?exp=get%0A%28+1", "line 2, column 3: expected a string, found '1'");
        refuses(
            "/?exp=get%2",
            "the expression in the link cannot be decoded, byte 3: expected two hexadecimal \
             digits after `%`",
        );
        assert!(matches!(
            parse_query("exp=a+b"),
            Err(LinkError::Parse { text, error }) if text == "a b" && error.position == 0
        ));
    }

    #[track_caller]
    fn recognises(path: &str, expected: Option<&str>) {
        assert_eq!(table_of_path(path), expected.map(table));
    }

    #[test]
    fn paths_of_other_clients() {
        recognises("/wandb/e/p/table/t", Some("e/p/t"));
        recognises("/browse/wandb/e/p/table/t", Some("e/p/t"));
        recognises("/weave/wandb/e/p/table/t", Some("e/p/t"));
        recognises("/weave/browse/wandb/e/p/table/t/", Some("e/p/t"));
        recognises("/wandb/e/a%20b+c é/table/t", Some("e/a b+c é/t"));
        recognises("/wandb/wandb/wandb/table/table", Some("wandb/wandb/table"));

        recognises("", None);
        recognises("/", None);
        recognises("wandb/e/p/table/t", None);
        recognises("/e/p/table/t", None);
        recognises("/browse/weave/wandb/e/p/table/t", None);
        recognises("/wandb/e/p/table/", None);
        recognises("/wandb/e/p/table/t/more", None);
        recognises("/wandb/e/p/run/t", None);
        recognises("/wandb/E/p/table/t", None);
        recognises("/wandb/e/%2E%2E/table/t", None);
        recognises("/wandb/e/a%2Fb/table/t", None);
        recognises("/wandb/e/%FF/table/t", None);
    }

    #[test]
    fn pages_of_runs() {
        let app = "https://wandb.ai".parse().unwrap();
        let url = run_url(&app, "e", "a/b?é", "x#y z~1");
        assert_eq!(url, "https://wandb.ai/e/a%2Fb%3F%C3%A9/runs/x%23y%20z~1");
    }
}
