//! A contract to change in tests, and what its rules are asked.

use chronolith_contract::rule::Value;
use chronolith_contract::{Amount, Compiled};

/// A contract with something of everything.
pub(crate) const CONTRACT: &str = r#"
contract = 1
name = "example"
about = "Speed of a fleet"
lists = ["known", "banned"]

[[party]]
name = "arbiter"
about = "rules"

[[metric]]
device = "van-7"
name = "speed"
tags = { axle = "1", side = "left" }
kind = "f64"
unit = "km/h"
level = 3
policy = "time:1000000000;round:0.5"
every = "1s"

[[metric]]
name = "door"
kind = "bool"
level = 4

[placement]
regions = ["eu-west", "eu-north"]
data = 4
parity = 2
replicas = 2

[price]
fixed = "2.5"
per_hour = "0.01"

[terms]
check_blocks = 60
revocable = true
revocation_fee_bp = 500
royalty_bp = 100

[[grant]]
name = "known"
when = "request.buyer in lists.known && request.paid >= coin('2.5')"

[[grant]]
name = "certified"
when = "request.certificates.exists(c, c.role == 'insurer' && c.until_s > now.time_s) && !(request.buyer in lists.banned)"

[[query]]
name = "records"
sql = "SELECT count(*) FROM speed"
answer = "integer"

[steps]
begins = "requested"

[[step]]
name = "requested"
due = "owner"
within = "20 blocks"
then = "refunded"

[[step.on]]
event = "granted"
by = "owner"
to = "checking"

[[step]]
name = "checking"
due = "buyer"
within = "60 blocks"
then = "settled"

[[step.on]]
event = "objected"
by = "buyer"
when = "answers.records < 10"
to = "refunded"

[[step.on]]
event = "evidence"
by = "owner"
to = "settled"

[[end]]
name = "settled"
pay = [{ to = "arbiter", bp = 100 }]
rest = "owner"

[[end]]
name = "refunded"
rest = "buyer"

[[webhook]]
name = "office"
url = "https://office.example/hook"
on = ["granted", "settled"]
"#;

/// The example with a text in the place of another.
pub(crate) fn with(from: &str, to: &str) -> String {
    assert!(CONTRACT.contains(from), "{from}");
    CONTRACT.replace(from, to)
}

/// The example, read.
pub(crate) fn contract() -> Compiled {
    Compiled::read(CONTRACT).unwrap()
}

/// What rules of the example are asked about a buyer who pays so much.
pub(crate) fn request(buyer: &str, paid: u128, role: &str) -> Value {
    let certificate = Value::record([
        ("issuer", "authority".into()),
        ("role", role.into()),
        ("subject", buyer.into()),
        ("until_s", 2_000_000_000.into()),
    ]);
    let request = Value::record([
        ("buyer", buyer.into()),
        ("certificates", Value::List(vec![certificate])),
        ("from_s", 1_700_000_000.into()),
        ("until_s", 1_700_003_600.into()),
        ("hours", 1.into()),
        ("level", 3.into()),
        ("metrics", Value::texts(["speed"])),
        ("paid", Amount(paid).into()),
        ("purpose", "research".into()),
    ]);
    let lists = [("known", Value::texts(["alice"])), ("banned", Value::texts(["mallory"]))];
    Value::record([
        ("request", request),
        ("lists", Value::record(lists)),
        ("budget", Value::record([("limit", 1_000.into()), ("used", 10.into())])),
        ("now", Value::record([("height", 100.into()), ("time_s", 1_800_000_000.into())])),
    ])
}
