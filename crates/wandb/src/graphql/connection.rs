//! Pagination of lists.

use async_graphql::SimpleObject;

/// Maximum number of elements on a page.
const MAX_PAGE: usize = 10_000;

/// The end cursor of a page.
#[derive(Clone, Debug, SimpleObject)]
pub(super) struct PageInfo {
    pub(super) end_cursor: Option<String>,
    pub(super) has_next_page: bool,
}

/// A page of a list, with the index of its first element.
pub(super) struct Paged<T> {
    pub(super) nodes: Vec<T>,
    pub(super) start: usize,
    pub(super) page_info: PageInfo,
    pub(super) total_count: i32,
}

/// Returns the page that starts after the cursor `after` and has at most `first` elements.
pub(super) fn page<T>(all: Vec<T>, after: Option<&str>, first: Option<i32>) -> Paged<T> {
    let start = after.and_then(|cursor| cursor.parse::<usize>().ok()).map_or(0, |i| i + 1);
    let limit = first.map_or(MAX_PAGE, |first| usize::try_from(first).unwrap_or(0)).min(MAX_PAGE);
    let total = all.len();
    let nodes: Vec<T> = all.into_iter().skip(start).take(limit).collect();
    let end = start + nodes.len();
    let page_info = PageInfo {
        end_cursor: (!nodes.is_empty()).then(|| (end - 1).to_string()),
        has_next_page: end < total,
    };
    Paged { nodes, start, page_info, total_count: i32::try_from(total).unwrap_or(i32::MAX) }
}

/// Defines a connection type and its edge type.
macro_rules! connection {
    ($connection:ident, $edge:ident, $node:ty) => {
        #[derive(async_graphql::SimpleObject)]
        pub(super) struct $connection {
            edges: Vec<$edge>,
            page_info: $crate::graphql::connection::PageInfo,
            total_count: i32,
        }

        #[derive(async_graphql::SimpleObject)]
        pub(super) struct $edge {
            node: $node,
            cursor: String,
        }

        impl $connection {
            pub(super) fn page(all: Vec<$node>, after: Option<&str>, first: Option<i32>) -> Self {
                let page = $crate::graphql::connection::page(all, after, first);
                let start = page.start;
                let edges = page.nodes.into_iter().enumerate();
                let edges = edges.map(|(i, node)| $edge { node, cursor: (start + i).to_string() });
                Self {
                    edges: edges.collect(),
                    page_info: page.page_info,
                    total_count: page.total_count,
                }
            }
        }
    };
}

pub(super) use connection;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_start_after_the_cursor() {
        #[track_caller]
        fn check(after: Option<&str>, first: Option<i32>, nodes: &[i32], more: bool) {
            let page = page(vec![0, 1, 2, 3], after, first);
            assert_eq!((page.nodes.as_slice(), page.page_info.has_next_page), (nodes, more));
        }
        check(None, None, &[0, 1, 2, 3], false);
        check(None, Some(2), &[0, 1], true);
        check(Some("1"), Some(2), &[2, 3], false);
        check(Some("3"), Some(2), &[], false);
        check(Some("x"), Some(1), &[0], true);
        check(None, Some(-1), &[], true);
        check(Some("18446744073709551614"), Some(1), &[], false);
    }
}
