//! The templates that come with the program.

use super::Template;
use crate::file::Problems;

/// Their names and files.
pub const BUILTIN: [(&str, &str); 11] = [
    ("accident-evidence", include_str!("../../templates/accident-evidence.toml")),
    ("arbitrated-deal", include_str!("../../templates/arbitrated-deal.toml")),
    ("bounty", include_str!("../../templates/bounty.toml")),
    ("charging-session", include_str!("../../templates/charging-session.toml")),
    ("cold-chain", include_str!("../../templates/cold-chain.toml")),
    ("maintenance-history", include_str!("../../templates/maintenance-history.toml")),
    ("pay-per-answer", include_str!("../../templates/pay-per-answer.toml")),
    ("sale", include_str!("../../templates/sale.toml")),
    ("service-directory", include_str!("../../templates/service-directory.toml")),
    ("subscription", include_str!("../../templates/subscription.toml")),
    ("usage-insurance", include_str!("../../templates/usage-insurance.toml")),
];

/// A template by its name; none where there is none of that name.
///
/// # Errors
/// [`Problems`], which no template that comes with the program has: a test reads them all.
pub fn builtin(name: &str) -> Option<Result<Template, Problems>> {
    BUILTIN.iter().find(|(other, _)| *other == name).map(|(_, text)| Template::read(text))
}
