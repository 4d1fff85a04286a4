//! All routes, and what holds for each request.

use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CACHE_CONTROL, CONNECTION};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use super::state::HttpState;
use super::{chain, identity, market, query, status, write};

/// The longest path and parameters of a request: bytes.
const ADDRESS_MOST: usize = 16 << 10;

/// The routes of the server.
pub(super) fn router(state: HttpState) -> Router {
    Router::new()
        .merge(status::routes(&state))
        .merge(write::routes(&state))
        .merge(query::routes(&state))
        .merge(chain::routes(&state))
        .merge(identity::routes(&state))
        .merge(market::routes(&state))
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .layer(from_fn_with_state(state.clone(), each))
        .with_state(state)
}

async fn unknown() -> Problem {
    Problem::not_found("there is nothing of this path; docs/http.md lists what there is")
}

async fn not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method",
        "this path is not asked by this method; docs/http.md says by which",
    )
}

/// What holds for each request: its form, its time, and that it is counted.
async fn each(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    let begin = Instant::now();
    // The program's own names of routes, whatever the client calls them.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let most = state.request_time();
    let is_deal = market::is_deal(request.method(), request.uri().path());
    let mut response = match check_address(request.uri()) {
        Err(problem) => {
            // Nothing that follows on the connection is believed.
            let mut response = problem.into_response();
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            response
        }
        Ok(()) => match tokio::time::timeout(most, next.run(request)).await {
            Ok(response) => response,
            Err(_) if is_deal => market::not_in_time(most).into_response(),
            Err(_) => Problem::unavailable(
                "too_slow",
                format!("there was no answer within {most:?}; ask for less, or come again"),
                1,
            )
            .into_response(),
        },
    };
    let headers = response.headers_mut();
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    state.measures().answered(route, response.status(), begin.elapsed());
    response
}

/// Refuses addresses that two readers could understand in two ways.
fn check_address(uri: &Uri) -> Result<(), Problem> {
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    if path.len() + query.len() > ADDRESS_MOST {
        return Err(Problem::new(
            StatusCode::URI_TOO_LONG,
            "address",
            format!("the address is longer than {ADDRESS_MOST} bytes; send parameters as a form"),
        ));
    }
    let lower = path.to_ascii_lowercase();
    let is_tricky = lower.contains("//")
        || lower.contains('\\')
        || ["%2f", "%5c", "%00"].iter().any(|trick| lower.contains(trick))
        || lower.split('/').any(|part| matches!(&*part.replace("%2e", "."), "." | ".."));
    if is_tricky {
        return Err(Problem::invalid("the path is not in its plain form"));
    }
    if query.contains("%00") || query.contains('\0') {
        return Err(Problem::invalid("a parameter holds NUL"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    #[test]
    fn paths_are_plain() {
        let status = |text: &str| {
            check_address(&text.parse().unwrap()).err().map(|problem| problem.status.as_u16())
        };
        for plain in
            ["/", "/write?db=a%2Fb", "/api/v1/label/a.b/values", "/api/v1/continuous/a%20b"]
        {
            assert_eq!(status(plain), None, "{plain}");
        }
        for trick in
            ["//write", "/a/../write", "/a/%2e%2E/write", "/./write", "/a%2fb", "/a%5Cb", "/w%00"]
        {
            assert_eq!(status(trick), Some(400), "{trick}");
        }
        assert_eq!(status("/write?db=%00"), Some(400));
        assert_eq!(status(&format!("/?{}", "a".repeat(ADDRESS_MOST))), Some(414));
    }
}
