//! What the market's routes refuse before anything is asked of the chain: who may not, and what cannot be understood,
//! with its field and place.

use chronolith_chain::address::Address;
use serde_json::json as value;

use crate::http::Server;
use crate::run::expect;

const CID: &str = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";

#[test]
fn bodies_and_ids_that_are_none_are_told_with_their_place() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let token = |name: &str, scope: &str| {
        let new = ["token", "new", name, "--db", "db", "--scope", scope];
        let token = expect(directory, 0, &new);
        format!("Authorization: Bearer {}", token.trim())
    };
    let (reader, admin) = (token("reader", "read"), token("all", "admin"));
    let server = Server::start(directory, &[]);
    let post = |token: &String, path: &str, body: &str| {
        let path = format!("/api/v1/market{path}");
        server.ask("POST", &path, &[token.as_str()], body.as_bytes())
    };
    let id = "07".repeat(32);
    let bounty = value!({"text": CID, "reward": "1", "submit_blocks": 5, "award_blocks": 5});
    // Who may look may not set coin aside or give anything away; and everybody needs a token.
    let changing = [
        "/bounties".to_owned(),
        format!("/bounties/{id}/submissions"),
        format!("/bounties/{id}/awards"),
        "/deals".to_owned(),
        format!("/deals/{id}/join"),
        format!("/deals/{id}/advance"),
        format!("/deals/{id}/arbitrate"),
        format!("/requests/{id}/answer"),
        format!("/requests/{id}/answer/dispute"),
        format!("/requests/{id}/revoke"),
        format!("/requests/{id}/dispute"),
        format!("/subscriptions/{id}/periods/0/dispute"),
    ];
    for path in &changing {
        let refused = post(&reader, path, &bounty.to_string()).expect(403).json();
        assert_eq!(refused["error"], "wrong_scope", "{path}: {refused}");
    }
    let get = |path: &str| {
        let path = format!("/api/v1/market{path}");
        server.ask("GET", &path, &[reader.as_str()], b"")
    };
    // What is hidden is for administrators, also where it is only looked at.
    let disclosure = format!("/offers/{id}/disclosure");
    assert_eq!(get(&disclosure).expect(403).json()["error"], "wrong_scope");
    let told = |path: &str| {
        let path = format!("/api/v1/market{path}");
        server.ask("GET", &path, &[admin.as_str()], b"")
    };
    assert_eq!(told(&disclosure).expect(404).json()["error"], "not_found");
    let refused = told("/offers/7/disclosure").expect(400).json();
    assert!(refused["message"].as_str().unwrap().contains("is no id"), "{refused}");
    for path in ["/bounties", "/deals"].map(str::to_owned).iter().chain([
        &format!("/bounties/{id}"),
        &format!("/deals/{id}"),
        &format!("/requests/{id}/answer"),
    ]) {
        let refused = get(path).expect(404).json();
        assert_eq!(refused["error"], "not_found", "{path}: {refused}");
    }
    // What the server understands, it would do, if it followed a chain. A coin is read as it is shown, too.
    post(&admin, "/bounties", &bounty.to_string()).expect(404);
    for coin in [value!(id), value!({"Issued": id}), value!("Native"), value!(null)] {
        let offer = value!({"device": "a", "fixed": "1", "coin": coin});
        post(&admin, "/offers", &offer.to_string()).expect(404);
        let mut bounty = bounty.clone();
        bounty["coin"] = coin;
        post(&admin, "/bounties", &bounty.to_string()).expect(404);
    }
    let with = |name: &str, wrong: serde_json::Value| {
        let mut body = bounty.clone();
        body[name] = wrong;
        body.to_string()
    };
    let plan = value!({
        "contract": CID, "parties": [], "arbiter": null, "join_until": 1, "steps": [],
        "outcomes": [{"shares": [{"of": 0, "to": 0, "share": "all"}]}],
    });
    let submissions = format!("/bounties/{id}/submissions");
    // What is bought of a hidden offer, with one thing of what its owner told changed.
    let hidden = |part: &str, name: &str, wrong: serde_json::Value| {
        let device = Address([7; 32]).to_string();
        let scope = value!({"salt": id, "device": device, "tree": 0, "trees": [id]});
        let told = value!({"format": "chronolith hidden offer 1", "offer": id, "scope": scope});
        let (from, until) = ("2026-01-01", "2026-01-02");
        let mut body = value!({"offer": id, "from": from, "until": until, "disclosure": told});
        body.pointer_mut(part).unwrap()[name] = wrong;
        body.to_string()
    };
    let told = "/disclosure";
    let scope = "/disclosure/scope";
    // What is awarded, with one thing of what the owner of a hidden submission told changed.
    let awards = format!("/bounties/{id}/awards");
    let awarded = |part: &str, name: &str, wrong: serde_json::Value| {
        let body: serde_json::Value = serde_json::from_str(&hidden(part, name, wrong)).unwrap();
        let shares = [value!({"number": 0, "share": 10_000})];
        value!({"shares": shares, "disclosures": [body["disclosure"]]}).to_string()
    };
    post(&admin, &awards, &awarded(told, "offer", value!(id))).expect(404);
    // What it understands it would buy, if it dealt, and dispute.
    post(&admin, "/requests", &hidden(told, "offer", value!(id))).expect(404);
    post(&admin, &format!("/requests/{id}/dispute"), "").expect(404);
    post(&admin, &format!("/subscriptions/{id}/periods/0/dispute"), "").expect(404);
    for (path, body, field, said) in [
        ("/bounties", with("text", value!("abc")), "text", "is not a content id"),
        ("/bounties", with("reward", value!("1e3")), "reward", "is no amount"),
        ("/bounties", with("reward", value!(1)), "reward", "expected a string"),
        ("/bounties", with("submit_blocks", value!(-1)), "submit_blocks", "integer `-1`"),
        ("/bounties", with("leftover", value!("me")), "leftover", "unknown variant `me`"),
        ("/bounties", with("ownership", value!("none")), "ownership", "unknown variant `none`"),
        ("/deals", plan.to_string(), "outcomes[0].shares[0].share", "invalid type"),
        (
            &changing[2],
            value!({"shares": [{"number": 0, "share": 70_000}]}).to_string(),
            "shares[0].share",
            "70000",
        ),
        (&changing[5], value!({"step": 256}).to_string(), "step", "256"),
        (&changing[6], value!({"shares": 7}).to_string(), "shares", "invalid type"),
        (&changing[7], value!({"question": "sql = 'SELECT 1'"}).to_string(), "question", "format"),
        (
            &submissions,
            value!({"content": CID, "offer": "7"}).to_string(),
            "offer",
            "64 hexadecimal",
        ),
        (
            &submissions,
            value!({"content": CID, "from": "yesterday"}).to_string(),
            "from",
            "is not a time",
        ),
        (
            "/offers",
            value!({"device": "a", "question": "what?"}).to_string(),
            "question",
            "question",
        ),
        ("/offers", value!({"device": "a", "contract": "x"}).to_string(), "contract", "content id"),
        ("/offers", value!({"device": "a", "coin": "MILE"}).to_string(), "coin", "64 hexadecimal"),
        ("/offers", value!({"device": "a", "coin": {}}).to_string(), "coin", "64 hexadecimal"),
        ("/offers", value!({"device": "a", "coin": 7}).to_string(), "coin", "64 hexadecimal"),
        (
            "/offers",
            value!({"device": "a", "coin": {"Issued": "7"}}).to_string(),
            "coin.Issued",
            "64 hexadecimal",
        ),
        ("/bounties", with("coin", value!({"Native": id})), "coin", "64 hexadecimal"),
        (
            &awards,
            awarded(scope, "salt", value!("07")),
            "disclosures[0].scope.salt",
            "64 hexadecimal",
        ),
        (
            "/requests",
            hidden(scope, "salt", value!("07")),
            "disclosure.scope.salt",
            "64 hexadecimal",
        ),
        (
            "/requests",
            hidden(scope, "device", value!("chron1")),
            "disclosure.scope.device",
            "chron1",
        ),
        ("/requests", hidden(told, "scope", value!(7)), "disclosure.scope", "invalid type"),
        ("/requests", hidden("", "disclosure", value!("file")), "disclosure", "invalid type"),
    ] {
        let refused = post(&admin, path, &body).expect(400).json();
        let message = refused["message"].as_str().unwrap();
        assert_eq!(refused["field"], field, "{path} {body}: {refused}");
        assert!(message.contains(said), "{path} {body}: {refused}");
        assert!(refused["line"] == 1 && refused["column"].as_u64() > Some(1), "{refused}");
    }
    // Names that are none, parts that are missing, and what is no JSON at all.
    for (path, body, said) in [
        ("/bounties", with("price", value!("1")), "unknown field `price`"),
        ("/bounties", value!({"text": CID}).to_string(), "missing field `reward`"),
        ("/bounties", format!("{bounty} {bounty}"), "trailing characters"),
        ("/bounties", String::new(), "EOF"),
        ("/deals", "[".repeat(10_000), "expected"),
        (&submissions, value!({"content": CID, "from": "2026-01-01"}).to_string(), "go together"),
        ("/deals/7/join", String::new(), "is no id"),
        ("/requests/7/revoke", String::new(), "is no id"),
        (
            "/offers",
            value!({"device": "a", "contract": CID, "fixed": "1"}).to_string(),
            "are what the contract says",
        ),
        (
            "/offers",
            value!({"device": "a", "revocation_fee_bp": 5}).to_string(),
            "of what is revocable",
        ),
        ("/requests/7/answer", String::new(), "is no id"),
        ("/requests/7/dispute", String::new(), "is no id"),
        ("/subscriptions/7/periods/0/dispute", String::new(), "is no id"),
        (&format!("/subscriptions/{id}/periods/x/dispute"), String::new(), "is no period"),
        (&format!("/subscriptions/{id}/periods/4294967296/dispute"), String::new(), "is no period"),
        (
            "/offers",
            value!({"device": "a", "contract": CID, "coin": id}).to_string(),
            "are what the contract says",
        ),
        ("/requests", hidden(told, "secret", value!(7)), "unknown field `secret`"),
        ("/requests", hidden(told, "offer", value!("08".repeat(32))), "it is of 0808"),
        ("/requests", hidden(told, "format", value!("a")), "it has the format \"a\""),
        (&awards, awarded(told, "secret", value!(7)), "unknown field `secret`"),
    ] {
        let refused = post(&admin, path, &body).expect(400).json();
        let message = refused["message"].as_str().unwrap();
        assert!(refused["error"] == "invalid" && message.contains(said), "{path}: {refused}");
    }
    // What is told of something else has no place of its own in the body.
    for (path, body, field, said) in [
        ("/requests", hidden(told, "offer", value!("08".repeat(32))), "disclosure", "it is of"),
        (&awards, awarded(told, "format", value!("a")), "disclosures", "it has the format \"a\""),
        (&awards, awarded(told, "offer", value!("a")), "disclosures", "64 hexadecimal digits"),
    ] {
        let refused = post(&admin, path, &body).expect(400).json();
        assert_eq!(refused["field"], field, "{path}: {refused}");
        assert!(refused["message"].as_str().unwrap().contains(said), "{path}: {refused}");
    }
    let refused = get("/bounties?closed=maybe").expect(400).json();
    assert!(refused["message"].as_str().unwrap().contains("true or false"), "{refused}");
    // Lists have bounds.
    for path in ["/offers", "/rights", "/subscriptions", "/bounties", "/deals"] {
        let refused = get(&format!("{path}?limit=1001")).expect(400).json();
        assert!(refused["message"].as_str().unwrap().contains("from 1 to 1000"), "{refused}");
        let refused = get(&format!("{path}?after=7")).expect(400).json();
        assert!(refused["message"].as_str().unwrap().contains("is no id"), "{refused}");
        get(&format!("{path}?limit=1&after={id}")).expect(404);
    }
    // Nothing is read that is longer than the longest.
    let long = with("text", value!("b".repeat(300 << 10)));
    assert_eq!(post(&admin, "/bounties", &long).expect(413).json()["error"], "too_large");
}
