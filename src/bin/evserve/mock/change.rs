//! What is done to a collection.

use super::Refusal;
use super::list::text;
use super::store::Things;
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Refusal>;

/// The place of the thing with that id, which may be a number or a text.
pub fn find(items: &[Value], id: &str) -> Option<usize> {
    items.iter().position(|item| has_id(item, id))
}

fn has_id(item: &Value, id: &str) -> bool {
    item.get("id").is_some_and(|found| text(found) == id)
}

/// The id that a path names: a number if it is the text of one.
pub fn id_of(text: &str) -> Value {
    let number = text.parse::<u64>().ok();
    let number = number.filter(|number| number.to_string() == text);
    number.map_or_else(|| json!(text), |number| json!(number))
}

/// What refers to a thing of that collection: `posts` by `postId`.
pub fn reference(collection: &str) -> String {
    let one = match collection.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => collection
            .strip_suffix('s')
            .unwrap_or(collection)
            .to_owned(),
    };
    format!("{one}Id")
}

/// Puts a new one at the end; it and its id, which it is given when it has none.
pub fn create(things: &mut Things, name: &str, mut thing: Things) -> Result<(Value, String)> {
    let items = items(things, name)?;
    let id = match thing.get("id") {
        None | Some(Value::Null) => next_id(items),
        Some(id @ (Value::Number(_) | Value::String(_))) => id.clone(),
        Some(_) => return Err(Refusal::Bad("an id is a number or a text".to_owned())),
    };
    let id_text = text(&id);
    if find(items, &id_text).is_some() {
        return Err(Refusal::Conflict(format!(
            "{name} has one with the id {id}"
        )));
    }
    thing.shift_remove("id");
    thing.shift_insert(0, "id".to_owned(), id);
    items.push(Value::Object(thing.clone()));
    Ok((Value::Object(thing), id_text))
}

/// One more than the greatest; those that are texts do not count.
fn next_id(items: &[Value]) -> Value {
    let ids = items.iter().filter_map(|item| {
        let id = item.get("id")?;
        id.as_u64().or_else(|| id.as_str()?.parse().ok())
    });
    let next = ids.max().unwrap_or(0).saturating_add(1);
    // As the others are.
    match items.last().and_then(|item| item.get("id")) {
        Some(Value::String(_)) => json!(next.to_string()),
        _ => json!(next),
    }
}

/// Puts it in the place of the one with that id.
pub fn put(things: &mut Things, name: &str, id: &str, mut thing: Things) -> Result<Value> {
    let item = item(things, name, id)?;
    let old = item["id"].clone();
    same_id(&thing, id)?;
    thing.shift_remove("id");
    thing.shift_insert(0, "id".to_owned(), old);
    *item = Value::Object(thing);
    Ok(item.clone())
}

/// Changes those fields only that are named.
pub fn patch(things: &mut Things, name: &str, id: &str, mut change: Things) -> Result<Value> {
    let item = item(things, name, id)?;
    same_id(&change, id)?;
    change.shift_remove("id");
    if let Some(fields) = item.as_object_mut() {
        fields.extend(change);
    }
    Ok(item.clone())
}

pub fn delete(things: &mut Things, name: &str, id: &str) -> Result<Value> {
    let items = items(things, name)?;
    let at = find(items, id).ok_or(Refusal::NotFound)?;
    Ok(items.remove(at))
}

/// A thing keeps its id, or what refers to it would lead to nothing.
fn same_id(thing: &Things, id: &str) -> Result<()> {
    match thing.get("id") {
        Some(other) if text(other) != id => {
            Err(Refusal::Bad(format!("the id is {id}, and stays so")))
        }
        _ => Ok(()),
    }
}

fn items<'a>(things: &'a mut Things, name: &str) -> Result<&'a mut Vec<Value>> {
    let thing = things.get_mut(name).ok_or(Refusal::NotFound)?;
    thing.as_array_mut().ok_or(Refusal::NotFound)
}

fn item<'a>(things: &'a mut Things, name: &str, id: &str) -> Result<&'a mut Value> {
    let items = items(things, name)?;
    let at = find(items, id).ok_or(Refusal::NotFound)?;
    Ok(&mut items[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: &Value) -> Things {
        value.as_object().unwrap().clone()
    }

    fn posts() -> Things {
        object(&json!({"posts": [{"id": 3, "a": 1}, {"id": "x", "a": 2}], "empty": []}))
    }

    #[test]
    fn a_new_one_gets_an_id() {
        let mut things = posts();
        let (made, id) = create(&mut things, "empty", object(&json!({"b": 1}))).unwrap();
        assert_eq!(
            (made.to_string(), id),
            (r#"{"id":1,"b":1}"#.to_owned(), "1".to_owned())
        );
        let (made, _) = create(&mut things, "empty", object(&json!({"id": null}))).unwrap();
        assert_eq!(made, json!({"id": 2}));
        let (made, _) = create(&mut things, "posts", Things::new()).unwrap();
        assert_eq!(made, json!({"id": "4"}));
        let (_, id) = create(&mut things, "posts", object(&json!({"id": "mine"}))).unwrap();
        assert_eq!(id, "mine");
        let twice = create(&mut things, "posts", object(&json!({"id": 3})));
        assert!(matches!(twice, Err(Refusal::Conflict(_))));
        let odd = create(&mut things, "posts", object(&json!({"id": [1]})));
        assert!(matches!(odd, Err(Refusal::Bad(_))));
    }

    #[test]
    fn one_is_replaced_changed_and_removed() {
        let mut things = posts();
        let new = object(&json!({"b": 1}));
        assert_eq!(
            put(&mut things, "posts", "3", new).unwrap(),
            json!({"id": 3, "b": 1})
        );
        let change = object(&json!({"c": 1, "id": 3}));
        let changed = patch(&mut things, "posts", "3", change).unwrap();
        assert_eq!(changed, json!({"id": 3, "b": 1, "c": 1}));
        let other = object(&json!({"id": 4}));
        assert!(matches!(
            put(&mut things, "posts", "3", other),
            Err(Refusal::Bad(_))
        ));
        assert_eq!(delete(&mut things, "posts", "x").unwrap()["a"], 2);
        assert_eq!(delete(&mut things, "posts", "x"), Err(Refusal::NotFound));
        assert_eq!(
            put(&mut things, "posts", "9", Things::new()),
            Err(Refusal::NotFound)
        );
    }

    #[test]
    fn a_reference_is_in_the_singular() {
        assert_eq!(reference("posts"), "postId");
        assert_eq!(reference("categories"), "categoryId");
        assert_eq!(reference("staff"), "staffId");
        assert_eq!((id_of("7"), id_of("07")), (json!(7), json!("07")));
    }
}
