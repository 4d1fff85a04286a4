//! What went wrong, in the engine's words.

use std::error::Error;

use chronolith_engine::StoreProblem;
#[cfg(feature = "s3")]
use object_store::client::{HttpError, HttpErrorKind};

/// The longest text of a server that is shown: characters.
const TEXT_MAX: usize = 300;

/// An error of the client as the engine tells it.
pub(crate) fn problem(error: &object_store::Error) -> StoreProblem {
    use object_store::Error as E;
    let text = told(error);
    match error {
        // Without a bucket there are no objects either, but that is another thing to do.
        _ if text.contains("NoSuchBucket") => StoreProblem::Other(format!(
            "{text}; make the bucket, or check the address and the endpoint"
        )),
        E::NotFound { .. } => StoreProblem::Missing,
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => StoreProblem::Refused(text),
        _ if is_refused(&text) => StoreProblem::Refused(text),
        _ if is_connection(error) || is_busy(&text) => StoreProblem::Unreachable(text),
        _ => StoreProblem::Other(text),
    }
}

/// Without a network there is no way that fails.
#[cfg(not(feature = "s3"))]
const fn is_connection(_error: &object_store::Error) -> bool {
    false
}

/// Whether the server, or the way to it, failed.
#[cfg(feature = "s3")]
fn is_connection(error: &object_store::Error) -> bool {
    causes(error).any(|cause| {
        cause.downcast_ref::<HttpError>().is_some_and(|error| {
            matches!(
                error.kind(),
                HttpErrorKind::Connect
                    | HttpErrorKind::Request
                    | HttpErrorKind::Timeout
                    | HttpErrorKind::Interrupted
            )
        })
    })
}

fn is_refused(text: &str) -> bool {
    ["InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "403 Forbidden"]
        .iter()
        .any(|code| text.contains(code))
}

fn is_busy(text: &str) -> bool {
    ["status code: 5", "status code: 429", "SlowDown", "InternalError", "ServiceUnavailable"]
        .iter()
        .any(|code| text.contains(code))
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

/// What an error says, in one line: of an answer of the server its code and message, since the rest
/// of it may repeat the request, key id and all.
fn told(error: &object_store::Error) -> String {
    let deepest = causes(error).last().map(ToString::to_string).unwrap_or_default();
    let whole = error.to_string();
    if let Some(code) = element(&whole, "Code") {
        return match element(&whole, "Message") {
            Some(message) => cut(&format!("{code}: {message}")),
            None => cut(code),
        };
    }
    let text = if whole.contains('<') { deepest.split('<').next().unwrap_or("") } else { &deepest };
    cut(text.trim().trim_end_matches(':'))
}

/// The text of an element of an XML document.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (inner, _) = rest.split_once(&format!("</{name}>"))?;
    Some(inner.trim())
}

fn cut(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(TEXT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> StoreProblem {
        let source = text.to_owned().into();
        problem(&object_store::Error::Generic { store: "S3", source })
    }

    #[test]
    fn of_an_answer_only_code_and_message_are_told() {
        let answer = "Server returned non-2xx status code: 403 Forbidden: <Error><Code>\
            SignatureDoesNotMatch</Code><Message>The signature does not match.</Message>\
            <AWSAccessKeyId>AKIAIOSFODNN7EXAMPLE</AWSAccessKeyId></Error>";
        let text = "SignatureDoesNotMatch: The signature does not match.".to_owned();
        assert_eq!(generic(answer), StoreProblem::Refused(text));
    }

    #[test]
    fn servers_that_are_busy_can_be_asked_again() {
        let answer = "Server returned non-2xx status code: 503 Service Unavailable: ";
        assert!(matches!(generic(answer), StoreProblem::Unreachable(_)));
        assert!(matches!(generic("not supported"), StoreProblem::Other(_)));
    }

    #[test]
    fn a_bucket_that_is_not_there_is_no_missing_object() {
        let not_found = |body: &str| {
            let source = format!("status code: 404 Not Found: {body}").into();
            problem(&object_store::Error::NotFound { path: "a/b.seg".to_owned(), source })
        };
        let bucket = not_found("<Error><Code>NoSuchBucket</Code><Message>none</Message></Error>");
        assert!(matches!(bucket, StoreProblem::Other(text) if text.contains("make the bucket")));
        assert_eq!(not_found("<Error><Code>NoSuchKey</Code></Error>"), StoreProblem::Missing);
    }
}
