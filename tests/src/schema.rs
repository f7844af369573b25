//! Whether a JSON value is what a schema says: of JSON Schema what `openapi.json` uses, and nothing that it uses is
//! passed over.

use serde_json::Value;

/// A document with schemas that refer to each other.
#[derive(Debug)]
pub struct Schemas<'a>(pub &'a Value);

impl Schemas<'_> {
    /// What is wrong with `value`, with its place; nothing where it is what `schema` says.
    ///
    /// # Panics
    ///
    /// Where the schema says something that is not known here.
    pub fn check(&self, schema: &Value, value: &Value) -> Result<(), String> {
        self.check_at("$", schema, value)
    }

    /// What a reference leads to; anything else is itself.
    pub fn resolve<'s>(&'s self, schema: &'s Value) -> &'s Value {
        let Some(reference) = schema["$ref"].as_str() else { return schema };
        let found = self.0.pointer(reference.strip_prefix('#').expect("a reference within the document"));
        self.resolve(found.unwrap_or_else(|| panic!("{reference} leads nowhere")))
    }

    fn check_at(&self, at: &str, schema: &Value, value: &Value) -> Result<(), String> {
        if schema == &Value::Bool(false) {
            return Err(format!("{at}: nothing may be here"));
        }
        for (keyword, rule) in self.resolve(schema).as_object().expect("a schema is an object") {
            let holds = match &**keyword {
                "type" => types(rule).any(|name| is_of(name, value)),
                "enum" => rule.as_array().expect("enum is an array").contains(value),
                "minimum" => value.as_i64().is_none_or(|number| number >= number_of(rule)),
                "maximum" => value.as_i64().is_none_or(|number| number <= number_of(rule)),
                "minItems" => {
                    value.as_array().is_none_or(|items| items.len() as u64 >= rule.as_u64().expect("a count"))
                }
                "format" => rule == "date-time" && (value.is_null() || is_time(value)),
                "oneOf" => {
                    let all = rule.as_array().expect("oneOf is an array").iter();
                    let tried: Vec<_> = all.map(|schema| self.check_at(at, schema, value)).collect();
                    if tried.iter().filter(|tried| tried.is_ok()).count() != 1 {
                        return Err(format!("{at}: none or several of {tried:?}"));
                    }
                    true
                }
                "required" => {
                    let mut names = rule.as_array().expect("required is an array").iter();
                    names.all(|name| value.get(name.as_str().expect("a name")).is_some())
                }
                "properties" | "additionalProperties" => {
                    self.check_fields(at, self.resolve(schema), value)?;
                    true
                }
                "items" | "prefixItems" => {
                    self.check_items(at, self.resolve(schema), value)?;
                    true
                }
                "description" | "contentEncoding" => true,
                other => panic!("{at}: {other} is not known here"),
            };
            if !holds {
                return Err(format!("{at}: {keyword} {rule} does not hold for {value}"));
            }
        }
        Ok(())
    }

    fn check_fields(&self, at: &str, schema: &Value, value: &Value) -> Result<(), String> {
        for (name, field) in value.as_object().into_iter().flatten() {
            let own = schema["properties"].get(name).or_else(|| schema.get("additionalProperties"));
            own.map_or(Ok(()), |own| self.check_at(&format!("{at}.{name}"), own, field))?;
        }
        Ok(())
    }

    fn check_items(&self, at: &str, schema: &Value, value: &Value) -> Result<(), String> {
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            let own = schema["prefixItems"].get(index).or_else(|| schema.get("items"));
            own.map_or(Ok(()), |own| self.check_at(&format!("{at}[{index}]"), own, item))?;
        }
        Ok(())
    }
}

/// One name, or several of which one has to fit.
fn types(rule: &Value) -> impl Iterator<Item = &str> {
    let several = rule.as_array().into_iter().flatten();
    rule.as_str().into_iter().chain(several.filter_map(Value::as_str))
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{other} is no type that is known here"),
    }
}

fn number_of(rule: &Value) -> i64 {
    rule.as_i64().expect("a bound is a number")
}

fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_schema_does_not_say_is_found() {
        let document = json!({"components": {"schemas": {"Name": {"type": "string", "enum": ["a", "b"]}}}});
        let schemas = Schemas(&document);
        let name = json!({"$ref": "#/components/schemas/Name"});
        let schema = json!({
            "type": "object", "required": ["name"], "additionalProperties": false,
            "properties": {
                "name": name, "count": {"type": ["integer", "null"], "minimum": 1}, "at": {"format": "date-time"},
                "pair": {"type": "array", "prefixItems": [{"type": "integer"}], "items": false, "minItems": 1},
                "either": {"oneOf": [{"type": "string"}, name]},
            },
        });
        for good in [
            json!({"name": "a"}),
            json!({"name": "b", "count": null, "at": "2026-01-02T03:04:05Z", "pair": [1], "either": "c"}),
        ] {
            assert_eq!(schemas.check(&schema, &good), Ok(()));
        }
        for bad in [
            json!([]),
            json!({}),
            json!({"name": "c"}),
            json!({"name": "a", "other": 1}),
            json!({"name": "a", "count": 0}),
            json!({"name": "a", "at": "yesterday"}),
            json!({"name": "a", "pair": []}),
            json!({"name": "a", "pair": [1, 2]}),
            json!({"name": "a", "either": "a"}),
        ] {
            assert!(schemas.check(&schema, &bad).is_err(), "{bad}");
        }
    }
}
