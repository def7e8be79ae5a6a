//! A collection by a query: what fits, in which order, which page of it.

use serde_json::Value;
use std::cmp::Ordering;

/// What a query asks of a collection.
#[derive(Debug, Default)]
pub struct Query {
    /// Field, operator, and the values of which one has to fit.
    filters: Vec<(String, Operator, Vec<String>)>,
    /// What has to be somewhere in it.
    search: Option<String>,
    /// Fields, and whether downwards.
    sort: Vec<(String, bool)>,
    start: usize,
    limit: Option<usize>,
    page: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
}

const OPERATORS: [(&str, Operator); 6] = [
    ("_ne", Operator::NotEqual),
    ("_lt", Operator::Less),
    ("_lte", Operator::LessOrEqual),
    ("_gt", Operator::Greater),
    ("_gte", Operator::GreaterOrEqual),
    ("_like", Operator::Like),
];

/// A page, when only the page was asked for.
const PAGE: usize = 10;

/// What was found.
pub struct Found<'a> {
    pub items: Vec<&'a Value>,
    /// Of all pages.
    pub total: usize,
    /// The page's number and the number of all, when pages were asked for.
    pub page: Option<(usize, usize)>,
}

impl Query {
    /// # Errors
    /// In words, for a place or a page that is no number.
    pub fn new(pairs: impl Iterator<Item = (String, String)>) -> Result<Self, String> {
        let mut query = Query::default();
        let mut orders = Vec::new();
        let mut end = None;
        for (name, value) in pairs {
            match name.as_str() {
                "_sort" => query.sort = value.split(',').map(sort_key).collect(),
                "_order" => orders = value.split(',').map(|order| order == "desc").collect(),
                "_start" => query.start = number(&name, &value)?,
                "_end" => end = Some(number(&name, &value)?),
                "_limit" => query.limit = Some(number(&name, &value)?),
                "_page" => query.page = Some(number(&name, &value)?.max(1)),
                "q" => query.search = Some(value.to_lowercase()),
                // Against caches, and what others understand.
                name if name.starts_with('_') => {}
                _ => query.filter(&name, value),
            }
        }
        for (key, down) in query.sort.iter_mut().zip(orders) {
            key.1 |= down;
        }
        if let (Some(end), None) = (end, query.limit) {
            query.limit = Some(usize::saturating_sub(end, query.start));
        }
        if query.page.is_some() {
            query.limit = Some(query.limit.unwrap_or(PAGE).max(1));
        }
        Ok(query)
    }

    /// Those of one field and operator are alternatives.
    fn filter(&mut self, name: &str, value: String) {
        let suffixed = OPERATORS.iter().find_map(|&(suffix, operator)| {
            let field = name.strip_suffix(suffix)?;
            (!field.is_empty()).then_some((field, operator))
        });
        let (field, operator) = suffixed.unwrap_or((name, Operator::Equal));
        let same = |(f, o, _): &&mut (String, Operator, Vec<String>)| f == field && *o == operator;
        match self.filters.iter_mut().find(same) {
            Some((_, _, values)) => values.push(value),
            None => self.filters.push((field.to_owned(), operator, vec![value])),
        }
    }

    /// Looks at all of them.
    pub fn run<'a>(&self, all: &'a [Value]) -> Found<'a> {
        let mut items: Vec<&Value> = all.iter().filter(|item| self.fits(item)).collect();
        items.sort_by(|a, b| self.order(a, b));
        let total = items.len();
        let page = self.page.zip(self.limit);
        let start = page.map_or(self.start, |(page, limit)| (page - 1).saturating_mul(limit));
        Found {
            items: items
                .into_iter()
                .skip(start)
                .take(self.limit.unwrap_or(usize::MAX))
                .collect(),
            total,
            page: page.map(|(page, limit)| (page, total.div_ceil(limit).max(1))),
        }
    }

    fn fits(&self, item: &Value) -> bool {
        let search = self.search.as_ref();
        search.is_none_or(|text| contains(item, text))
            && self.filters.iter().all(|(path, operator, wanted)| {
                let found = field(item, path);
                let one = |wanted: &String| fits(found, *operator, wanted);
                match operator {
                    Operator::NotEqual => wanted.iter().all(one),
                    _ => wanted.iter().any(one),
                }
            })
    }

    fn order(&self, a: &Value, b: &Value) -> Ordering {
        let keys = self.sort.iter().map(|(path, down)| {
            let order = compare(field(a, path), field(b, path));
            if *down { order.reverse() } else { order }
        });
        keys.fold(Ordering::Equal, Ordering::then)
    }
}

fn number(name: &str, value: &str) -> Result<usize, String> {
    let number = value.parse();
    number.map_err(|_| format!("{name}: '{value}' is no whole number"))
}

/// `-views` is downwards.
fn sort_key(text: &str) -> (String, bool) {
    match text.strip_prefix('-') {
        Some(name) => (name.to_owned(), true),
        None => (text.to_owned(), false),
    }
}

/// `author.name` is the name in the author, `tags.0` the first of the tags.
fn field<'a>(item: &'a Value, path: &str) -> Option<&'a Value> {
    if let Some(value) = item.get(path) {
        return Some(value);
    }
    path.split('.').try_fold(item, |value, name| match value {
        Value::Array(values) => values.get(name.parse::<usize>().ok()?),
        value => value.get(name),
    })
}

fn fits(found: Option<&Value>, operator: Operator, wanted: &str) -> bool {
    let Some(found) = found else {
        return operator == Operator::NotEqual;
    };
    // One of a list is enough.
    if let Value::Array(values) = found {
        return match operator {
            Operator::NotEqual => values
                .iter()
                .all(|value| fits(Some(value), operator, wanted)),
            _ => values
                .iter()
                .any(|value| fits(Some(value), operator, wanted)),
        };
    }
    let text = text(found);
    let order = match (found.as_f64(), wanted.parse::<f64>()) {
        (Some(found), Ok(wanted)) => found.partial_cmp(&wanted).unwrap_or(Ordering::Less),
        _ => text.as_str().cmp(wanted),
    };
    match operator {
        Operator::Equal => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        Operator::GreaterOrEqual => order.is_ge(),
        Operator::Like => text.to_lowercase().contains(&wanted.to_lowercase()),
    }
}

/// As it would stand in a query.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn contains(value: &Value, text: &str) -> bool {
    match value {
        Value::String(found) => found.to_lowercase().contains(text),
        Value::Array(values) => values.iter().any(|value| contains(value, text)),
        Value::Object(fields) => fields.values().any(|value| contains(value, text)),
        other => other.to_string().contains(text),
    }
}

/// Numbers before texts, and what is not there last.
fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    fn kind(value: Option<&Value>) -> u8 {
        match value {
            Some(Value::Bool(_)) => 0,
            Some(Value::Number(_)) => 1,
            Some(Value::String(_)) => 2,
            Some(Value::Array(_) | Value::Object(_)) => 3,
            Some(Value::Null) | None => 4,
        }
    }
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => a
            .as_f64()
            .partial_cmp(&b.as_f64())
            .unwrap_or(Ordering::Equal),
        (Some(Value::String(a)), Some(Value::String(b))) => a.cmp(b),
        (Some(Value::Bool(a)), Some(Value::Bool(b))) => a.cmp(b),
        _ => kind(a).cmp(&kind(b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ids(query: &str) -> Vec<u64> {
        let all = json!([
            {"id": 1, "title": "Alpha", "views": 10, "author": {"name": "Ada"}, "tags": ["a", "b"]},
            {"id": 2, "title": "beta", "views": 9, "author": {"name": "Bob"}, "tags": []},
            {"id": 3, "title": "Gamma", "views": 100, "author": {"name": "Ada"}},
        ]);
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let query = Query::new(pairs.map(|(a, b)| (a.to_owned(), b.to_owned()))).unwrap();
        let found = query.run(all.as_array().unwrap());
        found
            .items
            .iter()
            .map(|item| item["id"].as_u64().unwrap())
            .collect()
    }

    #[test]
    fn what_fits_is_listed() {
        for (query, expected) in [
            ("", &[1, 2, 3][..]),
            ("title=beta", &[2]),
            ("id=1&id=3", &[1, 3]),
            ("id=1&title=beta", &[]),
            ("views_gte=10", &[1, 3]),
            ("views_gt=10", &[3]),
            ("views_lt=10", &[2]),
            ("views_gte=9&views_lte=10", &[1, 2]),
            ("id_ne=1&id_ne=2", &[3]),
            ("author.name=Ada", &[1, 3]),
            ("tags=b", &[1]),
            ("tags.0=a", &[1]),
            ("title_like=A", &[1, 2, 3]),
            ("title_like=MM", &[3]),
            ("q=bob", &[2]),
            ("nothing=1", &[]),
            ("_=17", &[1, 2, 3]),
        ] {
            assert_eq!(ids(query), expected, "{query}");
        }
    }

    #[test]
    fn what_is_listed_has_an_order() {
        for (query, expected) in [
            ("_sort=views", [2, 1, 3]),
            ("_sort=views&_order=desc", [3, 1, 2]),
            ("_sort=-views", [3, 1, 2]),
            ("_sort=author.name,views&_order=asc,desc", [3, 1, 2]),
            ("_sort=tags.0", [1, 2, 3]),
        ] {
            assert_eq!(ids(query), expected, "{query}");
        }
    }

    #[test]
    fn a_part_of_it_can_be_had() {
        assert_eq!(ids("_limit=2"), [1, 2]);
        assert_eq!(ids("_page=2&_limit=2"), [3]);
        assert_eq!(ids("_page=9&_limit=2"), [0; 0]);
        assert_eq!(ids("_page=0&_limit=0"), [1]);
        assert_eq!(ids("_start=1&_end=2"), [2]);
        assert_eq!(ids("_start=1"), [2, 3]);
        let page = ("_page".to_owned(), "18446744073709551615".to_owned());
        let query = Query::new([page.clone()].into_iter()).unwrap();
        assert!(query.run(&[]).items.is_empty());
        assert!(Query::new([(page.0, "two".to_owned())].into_iter()).is_err());
    }
}
