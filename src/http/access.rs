//! Who may come in: by tokens, in every way in which clients send them, and by certificates.
//!
//! Without tokens everybody may do everything, which is refused beyond loopback. A browser on the
//! same machine is then held to pages of this server: no page of somebody else's asks it anything.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use axum::routing::MethodRouter;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::parameters::last;
use super::problem::Problem;
use super::state::HttpState;
use super::ticket::{Pass, Ticket};
use super::tokens::Known;
pub(super) use super::tokens::Scope;
use crate::identity::certificate::PeerCertificate;
use crate::identity::standing::Standing;

/// Lets only those through whose token has the scope.
pub(super) fn guarded(
    state: &HttpState,
    scope: Scope,
    routes: MethodRouter<HttpState>,
) -> MethodRouter<HttpState> {
    let state = state.clone();
    routes.layer(from_fn(move |mut request: Request, next: Next| {
        let (state, door) = (state.clone(), door(&state, &request));
        async move {
            let admitted = match door {
                Ok(Door::Open) => Ok(Pass::Nothing),
                Ok(Door::Token(text)) => by_token(&state, scope, text),
                Ok(Door::Certificate(caller)) => by_certificate(&state, scope, caller).await,
                Err(problem) => Err(problem),
            };
            match admitted {
                Ok(pass) => {
                    let ticket = Ticket { pass, scope };
                    request.extensions_mut().insert(ticket.clone());
                    ticket.bound(next.run(request).await, state)
                }
                Err(problem) => {
                    state.measures().refused(problem.code);
                    problem.into_response()
                }
            }
        }
    }))
}

/// By what somebody wants to come in.
enum Door {
    Open,
    Token(String),
    Certificate(Arc<PeerCertificate>),
}

/// By what somebody wants to come in; a token, where he comes with that and a certificate.
fn door(state: &HttpState, request: &Request) -> Result<Door, Problem> {
    let callers = state.callers();
    if state.tokens().is_none() && callers.is_none() {
        if !state.settings().allow_all {
            of_this_machine(request)?;
        }
        return Ok(Door::Open);
    }
    if state.tokens().is_some() {
        of_own_pages(request)?;
        if let Some(text) = credentials(request.headers(), request.uri())? {
            return Ok(Door::Token(text));
        }
    }
    let caller = callers.and(request.extensions().get::<Arc<PeerCertificate>>());
    if let Some(caller) = caller {
        // A browser sends it whoever's page asks, as it does a password that it keeps.
        if is_cross_site(request.headers()) {
            let message =
                "a page of somebody else's asks with a certificate that your browser keeps";
            return Err(Problem::new(StatusCode::FORBIDDEN, "foreign_page", message));
        }
        return Ok(Door::Certificate(Arc::clone(caller)));
    }
    let (code, message) = match (state.tokens(), callers) {
        (None, Some(_)) => {
            ("no_certificate", "come with a certificate of an authority that is known here")
        }
        (Some(_), Some(_)) => (
            "no_token",
            "send a token (Authorization: Bearer TOKEN), or come with a certificate of an authority that is \
             known here",
        ),
        _ => (
            "no_token",
            "send a token: Authorization: Bearer TOKEN, or as the password of HTTP Basic",
        ),
    };
    Err(Problem::new(StatusCode::UNAUTHORIZED, code, message))
}

async fn by_certificate(
    state: &HttpState,
    scope: Scope,
    caller: Arc<PeerCertificate>,
) -> Result<Pass, Problem> {
    let callers = state.callers().ok_or_else(|| Problem::internal("there are no authorities"))?;
    let verdict = callers.verdict(state, &caller).await?;
    let refused = |code, message| Err(Problem::new(StatusCode::FORBIDDEN, code, message));
    match &verdict.standing {
        Standing::Good { .. } if verdict.allows(scope) => Ok(Pass::Certificate(caller)),
        Standing::Good { certified, .. } => refused(
            "wrong_scope",
            format!(
                "this needs the scope {scope}, which is not open to {} by a certificate for {:?}",
                caller.account, &*certified.purpose
            ),
        ),
        Standing::Unknown => refused("unknown_certificate", Standing::Unknown.to_string()),
        other @ Standing::Expired { .. } => refused("expired_certificate", other.to_string()),
        other @ Standing::Revoked { .. } => refused("revoked_certificate", other.to_string()),
    }
}

fn by_token(state: &HttpState, scope: Scope, text: String) -> Result<Pass, Problem> {
    let unauthorized = |code, message| Problem::new(StatusCode::UNAUTHORIZED, code, message);
    let tokens = state.tokens().ok_or_else(|| Problem::internal("there are no tokens"))?;
    match tokens.look_up(&text) {
        Known::Unknown => {
            Err(unauthorized("unknown_token", "the token is none that is known here"))
        }
        Known::Expired => {
            Err(unauthorized("expired_token", "the token has ended; ask for a new one"))
        }
        // Not 401: who writes would throw away what it has, and the token may well be good.
        Known::Unreadable(reason) => Err(Problem::unavailable(
            "tokens",
            format!("nobody comes in until the tokens can be read: {reason}"),
            10,
        )),
        Known::Good(scopes) if scopes.contains(&scope) || scopes.contains(&Scope::Admin) => {
            Ok(Pass::Token(text.into()))
        }
        Known::Good(_) => {
            let message =
                format!("this needs a token with the scope {scope}, and the token has not");
            Err(Problem::new(StatusCode::FORBIDDEN, "wrong_scope", message))
        }
    }
}

/// The token of a request: of the header, or the password of Influx' parameters.
fn credentials(headers: &HeaderMap, uri: &Uri) -> Result<Option<String>, Problem> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = all.next() else {
        return Ok(last(uri.query().unwrap_or_default(), "p"));
    };
    let wrong = || {
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "unknown_token",
            "Authorization is one of: Bearer TOKEN, Token TOKEN, Basic with TOKEN as the password",
        )
    };
    if all.next().is_some() {
        return Err(wrong());
    }
    let (scheme, rest) =
        value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(wrong)?;
    let rest = rest.trim();
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Ok(Some(rest.to_owned())),
        // Influx v1 has `Token user:password`; no token has a colon.
        "token" => Ok(Some(rest.rsplit_once(':').map_or(rest, |(_, token)| token).to_owned())),
        "basic" => {
            let pair = STANDARD.decode(rest).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let pair = pair.ok_or_else(wrong)?;
            let (_, token) = pair.split_once(':').ok_or_else(wrong)?;
            Ok(Some(token.to_owned()))
        }
        _ => Err(wrong()),
    }
}

fn is_cross_site(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site")
}

/// Refuses what a page of somebody else's makes a browser send with a password that the browser keeps:
/// HTTP Basic alone, as the page has to know any other token.
fn of_own_pages(request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    let credentials = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let scheme = credentials.and_then(|text| text.split(' ').next()).unwrap_or_default();
    if scheme.eq_ignore_ascii_case("basic") && is_cross_site(headers) {
        let message = "a page of somebody else's asks with a password that your browser keeps";
        return Err(Problem::new(StatusCode::FORBIDDEN, "foreign_page", message));
    }
    Ok(())
}

/// Refuses what a page of somebody else's makes a browser of this machine send.
fn of_this_machine(request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    let foreign = |what: &str| {
        Problem::new(
            StatusCode::FORBIDDEN,
            "foreign_page",
            format!("without tokens only programs and pages of this machine are answered: {what}"),
        )
    };
    let host = match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => headers.get(HOST).map(|host| host.to_str().unwrap_or("?")),
    };
    if let Some(host) = host
        && !is_own_name(host)
    {
        return Err(foreign("Host is a name that is not localhost"));
    }
    if let Some(origin) = headers.get(ORIGIN) {
        let origin = origin.to_str().unwrap_or("?");
        if origin.split_once("://").map(|(_, origin)| origin) != host {
            return Err(foreign("Origin is another"));
        }
    }
    match is_cross_site(headers) {
        true => Err(foreign("Sec-Fetch-Site is cross-site")),
        false => Ok(()),
    }
}

/// Whether a name of this server is an address or `localhost`: others can be made to lead here by who
/// owns them.
fn is_own_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn tokens_come_in_headers_and_parameters() {
        let of = |header: Option<&str>, uri: &str| {
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                headers.insert(AUTHORIZATION, HeaderValue::from_str(header).unwrap());
            }
            credentials(&headers, &uri.parse().unwrap()).ok()
        };
        assert_eq!(of(None, "/write"), Some(None));
        for header in ["Bearer abc", "bearer abc", "Token abc", "Token user:abc", "Basic dTphYmM="]
        {
            assert_eq!(
                of(Some(header), "/write?u=x&p=y"),
                Some(Some("abc".to_owned())),
                "{header}"
            );
        }
        assert_eq!(of(None, "/write?u=x&p=abc"), Some(Some("abc".to_owned())));
        for header in ["abc", "Digest abc", "Basic ???", "Basic YWJj"] {
            assert_eq!(of(Some(header), "/write?p=abc"), None, "{header}");
        }
    }

    #[test]
    fn names_of_others_are_not_ours() {
        for host in ["localhost", "localhost:8428", "127.0.0.1:8428", "[::1]:8428", "10.0.0.1"] {
            assert!(is_own_name(host), "{host}");
        }
        for host in ["", "example.com", "example.com:8428", "localhost.example.com", "?"] {
            assert!(!is_own_name(host), "{host}");
        }
    }
}
