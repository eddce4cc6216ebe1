//! The specs and the build script: what an edited copy may and may not be, and in which words it is said.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::outside::skipped;

// The build script's own files, compiled once more: they need nothing but a YAML parser and serde_json.
#[path = "../../build/keys.rs"]
mod keys;
#[path = "../../build/lint.rs"]
mod lint;
#[path = "../../build/lint_schema.rs"]
mod lint_schema;
#[path = "../../build/required.rs"]
mod required;
#[path = "../../build/required_hydrogen.rs"]
mod required_hydrogen;
#[path = "../../build/required_table.rs"]
mod required_table;
#[path = "../../build/required_trade_order.rs"]
mod required_trade_order;
#[path = "../../build/yaml.rs"]
mod yaml;

const FUBEI: &str = include_str!("../../specs/fubei.yaml");
const OURS: [(&str, &str); 3] = [
    ("fubei", FUBEI),
    ("trade_order", include_str!("../../specs/trade_order.yaml")),
    ("hydrogen", include_str!("../../specs/hydrogen.yaml")),
];

fn faults(name: &str, text: &str) -> Vec<String> {
    let faults = match yaml::load(text) {
        Ok(document) => lint::check(name, &document),
        Err(faults) => faults,
    };
    faults.iter().map(ToString::to_string).collect()
}

/// Our Fubei spec with `from` replaced by `to`, once.
fn edited(from: &str, to: &str) -> String {
    assert!(FUBEI.contains(from), "the spec no longer has {from:?}");
    FUBEI.replacen(from, to, 1)
}

/// Line of the first occurrence, as the faults count it.
fn line_of(text: &str, part: &str) -> usize {
    text[..text.find(part).expect("it is there")].matches('\n').count() + 1
}

#[test]
fn our_specs_have_no_fault() {
    for (name, text) in OURS {
        assert_eq!(faults(name, text), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_removed_renamed_or_retyped_field_is_one_message() {
    let renamed = edited("        can_refund: {nullable", "        refundable: {nullable");
    let retyped = edited(
        "        refund_num: {nullable: true, allOf: [{$ref: \"#/components/schemas/Count\"}]",
        "        refund_num: {nullable: true, allOf: [{$ref: \"#/components/schemas/Text\"}]",
    );
    let cases = [
        // The place where the field ought to be: the properties of its schema.
        (
            renamed,
            line_of(FUBEI, "    RefundStatistics:\n") + 3,
            "7: operation `refund_statistics`: field `data.can_refund` of the answer is missing, the adapter needs it \
             as Yuan? (at /components/schemas/RefundStatistics/properties)",
        ),
        (
            retyped,
            line_of(FUBEI, "        refund_num: {nullable"),
            "9: operation `refund_statistics`: field of the answer `data.refund_num` is Text?, but the adapter needs \
             Count? (at /components/schemas/RefundStatistics/properties/refund_num)",
        ),
    ];
    for (text, line, message) in cases {
        assert_eq!(faults("fubei", &text), [format!("{line}:{message}")]);
    }
}

/// One slip, one message: four operations reach the field on three paths.
#[test]
fn a_field_that_several_operations_read_is_one_message() {
    let text = OURS[2].1.replacen("        total_cost: {", "        total_price: {", 1);
    let line = line_of(&text, "    Order:\n") + 3;
    assert_eq!(
        faults("hydrogen", &text),
        [format!(
            "{line}:7: operations `list_orders`, `get_order`, `function_list`, `function_get`: field \
             `objects.total_cost`, `total_cost`, `data.objects.total_cost` of the answer is missing, the adapter needs \
             it as Yuan? (at /components/schemas/Order/properties)"
        )]
    );
}

/// It is still listed in `required`, which alone would name no operation.
#[test]
fn a_required_field_that_is_removed_is_named_with_its_operation() {
    let text = edited("        refund_money: {allOf", "        refund_sum: {allOf");
    let line = line_of(FUBEI, "    OrderRefundBiz:\n") + 4;
    assert_eq!(
        faults("fubei", &text),
        [format!(
            "{line}:7: operation `order_refund`: field `biz_content.refund_money` of the request is missing, the \
             adapter needs it as Yuan (at /components/schemas/OrderRefundBiz/properties)"
        )]
    );
}

#[test]
fn what_an_adapter_calls_may_not_vanish_or_become_callable() {
    let cases = [
        (
            edited("operationId: order_bill", "operationId: order_bills"),
            "operation `order_bill`: missing, and the adapter calls it",
        ),
        (
            edited("x-call-safety: unsafe", "x-call-safety: safe"),
            "operation `order_refund`: `x-call-safety` is `safe`, but the adapter needs `unsafe`",
        ),
        (
            edited("x-gateway-method: openapi.payment.order.query", "x-gateway-method: openapi.payment.order.get"),
            "operation `order_query`: `x-gateway-method` is `openapi.payment.order.get`, but the adapter needs `openapi.payment.order.query`",
        ),
        (
            edited("x-enum-varnames: [UserPaying, Success,", "x-enum-varnames: [UserPaying, Paid,"),
            "open enum `TradeState` lacks the variant `Success`, which the adapter reads",
        ),
    ];
    for (text, message) in cases {
        let found = faults("fubei", &text);
        let [fault] = found.as_slice() else { panic!("{message}: {found:?}") };
        assert!(fault.contains(message), "{fault}");
    }
}

/// A spec small enough to break in one place at a time.
const SMALL: &str = r##"openapi: 3.0.3
info: {title: Small, version: "1"}
paths:
  /orders/{id}:
    get:
      operationId: get_order
      x-call-safety: safe
      parameters:
        - {name: id, in: path, required: true, schema: {type: string}}
      responses:
        "200":
          description: one
          content: {application/json: {schema: {$ref: "#/components/schemas/Order"}}}
components:
  schemas:
    Yuan: {oneOf: [{title: a, type: number}, {title: b, type: string}]}
    State: {type: string, x-open-enum: true, enum: [A, B]}
    Order:
      type: object
      required: [id]
      properties:
        id: {type: string}
        total: {$ref: "#/components/schemas/Yuan"}
        state: {$ref: "#/components/schemas/State"}
"##;

#[test]
fn each_fault_is_named_with_line_and_column() {
    let order = "/components/schemas/Order";
    let get = "/paths/~1orders~1{id}/get";
    let cases: Vec<(&str, &str, String)> = vec![
        ("openapi: 3.0.3", "openapi: 3.1.0", "1:1: `openapi` must be a 3.0 version such as `\"3.0.3\"` (at /openapi)".into()),
        ("version: \"1\"", "version: 1", "2:22: `version` must be a text (quote it if it looks like a number), found a number (at /info/version)".into()),
        ("version: \"1\"", "version: \"一\"", "2:22: `version` must be ASCII (at /info/version)".into()),
        ("      operationId: get_order\n", "", format!("5:5: an operation needs an `operationId` (at {get})")),
        ("get_order", "getOrder", format!("6:7: operationId `getOrder` must be snake_case ASCII (at {get}/operationId)")),
        ("      x-call-safety: safe\n", "", format!("5:5: an operation needs `x-call-safety: safe` (a read) or `unsafe` (money may move) (at {get})")),
        ("x-call-safety: safe", "x-call-safety: sure", format!("7:7: `x-call-safety` must be `safe` or `unsafe`, found `sure` (at {get}/x-call-safety)")),
        ("x-call-safety", "x-call-saftey", format!("7:7: unknown key `x-call-saftey` in an operation (did you mean `x-call-safety`?) (at {get}/x-call-saftey)")),
        ("in: path", "in: pth", format!("9:22: `in` must be query, header or path, found `pth` (at {get}/parameters/0/in)")),
        ("required: true, ", "", format!("9:11: a path parameter needs `required: true` (at {get}/parameters/0)")),
        ("\"200\":", "default:", format!("10:7: exactly one success answer (2xx) is declared, found 0 (at {get}/responses)")),
        ("description: one", "descripton: one", format!("12:11: unknown key `descripton` in a response (did you mean `description`?) (at {get}/responses/200/descripton)")),
        ("schemas/Order\"", "schemas/Ordre\"", format!("13:49: reference `#/components/schemas/Ordre` leads nowhere (at {get}/responses/200/content/application~1json/schema/$ref)")),
        ("id: {type: string}", "id: {type: number}", format!("22:14: `type: number` becomes a binary float; use `$ref` to Yuan, YuanText, Fen or Count (at {order}/properties/id/type)")),
        ("id: {type: string}", "id: {type: strng}", format!("22:14: unknown type `strng`; one of object, array, string, integer, number, boolean (at {order}/properties/id/type)")),
        ("id: {type: string}", "id: {type: string, enum: [A]}", format!("22:28: a closed enum fails on a new word; make it a component with `x-open-enum: true` (at {order}/properties/id/enum)")),
        ("id: {type: string}", "id: {type: string, format: date-time}", format!("22:28: format `date-time` is not read; use `$ref` to UpstreamTime (at {order}/properties/id/format)")),
        ("id: {type: string}", "id: {type: string, maxLength: 9}", format!("22:28: `maxLength` is refused: a longer or shorter text would fail the whole answer; say it in the description (at {order}/properties/id/maxLength)")),
        ("id: {type: string}", "id: {anyOf: [{type: string}]}", format!("22:14: `anyOf` is refused: the generated type cannot be decoded; use `oneOf` with titles (at {order}/properties/id/anyOf)")),
        ("id: {type: string}", "id: {type: string, nullable: true}", format!("22:9: `id` is nullable and required: a missing key would fail; take it out of `required` (at {order}/properties/id)")),
        ("id: {type: string}", "id: {type: string}\n        Id: {type: string}", format!("22:9: properties `Id` and `id` become one Rust field (at {order}/properties/id)")),
        ("id: {type: string}", "id: {type: string}\n        id: {type: string}", format!("23:9: duplicate key `id` (first on line 22) (at {order}/properties/id)")),
        ("id: {type: string}", "id: &a {type: string}", format!("22:13: anchors and tags are not read; write the part out or use `$ref` (at {order}/properties/id)")),
        ("id: {type: string}", "id: [", "".into()),
        ("id: {type: string}", "id: {type: string}\n        rows: {type: array, items: {type: string}}", format!("23:9: list `rows` needs `nullable: true`: `null` would fail the answer (at {order}/properties/rows)")),
        ("required: [id]", "required: [id, idd]", format!("20:7: `required` names `idd`, which is not a property (at {order}/required)")),
        ("type: object\n", "type: object\n      additionalProperties: false\n", format!("20:7: `additionalProperties: false` fails the whole answer on a new field (at {order}/additionalProperties)")),
        ("enum: [A, B]", "enum: [A, A]", "17:46: word `A` appears twice (at /components/schemas/State/enum)".into()),
        ("enum: [A, B]", "enum: [a, B]", "17:5: `a` cannot name a variant; give `x-enum-varnames` in PascalCase (`Other` is taken) (at /components/schemas/State/x-enum-varnames)".into()),
    ];
    assert_eq!(faults("small", SMALL), Vec::<String>::new());
    for (from, to, message) in cases {
        assert!(SMALL.contains(from), "{from}");
        let found = faults("small", &SMALL.replacen(from, to, 1));
        if message.is_empty() {
            assert!(!found.is_empty(), "{to}");
        } else {
            assert!(found.contains(&message), "{to}: expected\n{message}\nfound\n{found:#?}");
        }
    }
}

/// Runs the real build script over a directory of edited specs; gives its lines and the code it wrote for Fubei.
fn build(directory: &Path, out: &Path) -> (Vec<String>, String) {
    let output = Command::new(env!("TILLBOOK_BUILD_SCRIPT"))
        .env("CARGO_MANIFEST_DIR", env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_FEATURE_FUBEI", "1")
        .env("TILLBOOK_SPECS_DIR", directory)
        .env("OUT_DIR", out)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the build script runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    (lines, fs::read_to_string(out.join("fubei.rs")).unwrap_or_default())
}

fn errors(lines: &[String]) -> Vec<&str> {
    lines.iter().filter_map(|line| line.strip_prefix("cargo::error=")).collect()
}

#[test]
fn the_build_reads_an_edited_copy_and_takes_the_rest_from_ours() {
    let directory = tempfile::tempdir().expect("a directory");
    let out = tempfile::tempdir().expect("a directory");
    let added = edited(
        "        order_price: {nullable",
        "        loyalty_points: {nullable: true, allOf: [{$ref: \"#/components/schemas/Count\"}]}\n        order_price: {nullable",
    );
    fs::write(directory.path().join("fubei.yaml"), added).expect("written");
    let (lines, code) = build(directory.path(), out.path());
    assert_eq!(errors(&lines), Vec::<&str>::new());
    assert!(code.contains("pub loyalty_points: ::std::option::Option<crate::clients::wire::Count>"));
    assert!(lines.contains(&format!("cargo::rerun-if-changed={}", directory.path().display())));
    assert!(lines.contains(&"cargo::rerun-if-env-changed=TILLBOOK_SPECS_DIR".to_owned()));
    assert!(!out.path().join("hydrogen.rs").exists(), "its feature is off");
}

#[test]
fn the_build_fails_on_a_removed_field_with_one_message() {
    let directory = tempfile::tempdir().expect("a directory");
    let out = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("fubei.yaml");
    let line = FUBEI
        .lines()
        .find(|line| line.trim_start().starts_with("total_fee: {") && line.contains("the cap of its refunds"));
    fs::write(&path, edited(line.expect("the field"), "")).expect("written");
    let (lines, code) = build(directory.path(), out.path());
    let [error] = errors(&lines).try_into().expect("one message");
    assert!(error.starts_with(&format!("{}:", path.display())), "{error}");
    assert!(error.contains("operation `order_query`: field `data.total_fee` of the answer is missing"), "{error}");
    assert_eq!(code, "");
}

#[test]
fn a_specs_directory_that_is_none_is_said_so() {
    let out = tempfile::tempdir().expect("a directory");
    let (lines, _) = build(Path::new("specs"), out.path());
    let relative = "TILLBOOK_SPECS_DIR must be an absolute path, found `specs` \
                    (in .cargo/config.toml: { value = \"specs\", relative = true })";
    assert_eq!(errors(&lines), [relative]);
    let nowhere = out.path().join("nowhere");
    let (lines, _) = build(&nowhere, out.path());
    assert_eq!(errors(&lines), [format!("TILLBOOK_SPECS_DIR names `{}`, which is not a directory", nowhere.display())]);
}

#[test]
fn no_generated_code_holds_a_float() {
    let out = tempfile::tempdir().expect("a directory");
    let empty = tempfile::tempdir().expect("a directory");
    let (lines, code) = build(empty.path(), out.path());
    assert_eq!(errors(&lines), Vec::<&str>::new());
    assert!(!code.contains("f64") && !code.contains("f32"));
}

/// A consumer's crate, from its `.cargo/config.toml` to reading the field it added. Builds tillbook anew.
#[test]
fn a_consumer_builds_against_an_edited_copy() {
    if std::env::var_os("TILLBOOK_CONSUMER").is_none() {
        let name = "a_consumer_builds_against_an_edited_copy";
        return skipped(name, "a minute to build the crate anew", "TILLBOOK_CONSUMER=1 cargo test");
    }
    let root = env!("CARGO_MANIFEST_DIR");
    let consumer = tempfile::tempdir().expect("a directory");
    let at = |path: &str| consumer.path().join(path);
    for directory in ["src", "specs", ".cargo"] {
        fs::create_dir(at(directory)).expect("made");
    }
    let manifest = format!(
        "[package]\nname = \"consumer\"\nedition = \"2024\"\n[dependencies]\nserde_json = \"1\"\n\
         tillbook = {{ path = {root:?}, default-features = false, features = [\"fubei\"] }}\n"
    );
    fs::write(at("Cargo.toml"), manifest).expect("written");
    fs::copy(format!("{root}/Cargo.lock"), at("Cargo.lock")).expect("copied");
    let config = "[env]\nTILLBOOK_SPECS_DIR = { value = \"specs\", relative = true }\n";
    fs::write(at(".cargo/config.toml"), config).expect("written");
    let main = "fn main() {\n    let order: tillbook::clients::fubei::api::types::Order =\n        \
                serde_json::from_str(r#\"{\"loyalty_points\":\"12\"}\"#).expect(\"an order\");\n    \
                assert_eq!(order.loyalty_points, Some(tillbook::clients::wire::Count::new(12)));\n}\n";
    fs::write(at("src/main.rs"), main).expect("written");
    let added = edited(
        "        order_price: {nullable",
        "        loyalty_points: {nullable: true, allOf: [{$ref: \"#/components/schemas/Count\"}]}\n        order_price: {nullable",
    );
    let run = || {
        let output = Command::new(env!("CARGO"))
            .args(["run", "--offline", "--quiet"])
            .current_dir(consumer.path())
            .env("CARGO_TARGET_DIR", format!("{root}/target/consumer"))
            .output()
            .expect("cargo runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    fs::write(at("specs/fubei.yaml"), &added).expect("written");
    let (read, text) = run();
    assert!(read, "{text}");
    fs::write(at("specs/fubei.yaml"), added.replacen("        can_refund: {", "        refundable: {", 1))
        .expect("written");
    let (built, text) = run();
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("error")).collect();
    // cargo's own closing line may follow.
    assert!(!built && matches!(errors.len(), 1 | 2), "{text}");
    assert!(errors[0].contains("field `data.can_refund` of the answer is missing"), "{text}");
}
