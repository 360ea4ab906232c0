//! Lists in pages: each answer has so many items, and says where the next begins.
//!
//! A cursor names the last item of a page and not its number, so that what is added or
//! removed meanwhile is neither told twice nor passed over.

use std::borrow::Cow;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::{Ask, DeskError};
use crate::series::Millis;

/// Items where nobody says how many.
const USUAL: usize = 100;
/// The longest cursor that is looked at, in bytes.
const CURSOR_BYTES: usize = 1_024;

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// What to pass as `cursor` for the items after these; `None`: there are none.
    pub next: Option<String>,
}

impl<T: ToSchema> PartialSchema for Page<T> {
    fn schema() -> RefOr<Schema> {
        let items = ArrayBuilder::new().items(Ref::from_schema_name(T::name())).description(Some("The items."));
        let next = "What to pass as `cursor` for the items after these; null: there are none.";
        let next = match Option::<String>::schema() {
            RefOr::T(Schema::Object(object)) => ObjectBuilder::from(object).description(Some(next)).build().into(),
            other => other,
        };
        let object = ObjectBuilder::new().description(Some("A part of a list."));
        object.property("items", items).required("items").property("next", next).into()
    }
}

/// Not derived: then the pages of all lists would have one name.
impl<T: ToSchema> ToSchema for Page<T> {
    fn name() -> Cow<'static, str> {
        format!("{}Page", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

/// A request for a list.
pub trait Listing: Ask<Reply = Page<Self::Item>> {
    /// What is listed.
    type Item;

    /// Asks for the items after a page, `limit` of them at most.
    fn go_on(&mut self, cursor: Option<String>, limit: usize);
}

impl<T> Page<T> {
    /// The items after a cursor. `key` gives each item a text that no other has, and the
    /// items come in the order of these texts; `most` is how many a page may have.
    pub fn of(
        items: impl IntoIterator<Item = T>,
        key: impl Fn(&T) -> String,
        cursor: Option<&str>,
        limit: Option<usize>,
        most: usize,
    ) -> Result<Self, DeskError> {
        let after = cursor.map(read).transpose()?;
        let limit = size(limit, most);
        let mut items = items.into_iter().filter(|item| after.as_ref().is_none_or(|after| key(item) > *after));
        let page: Vec<T> = items.by_ref().take(limit).collect();
        let more = items.next().is_some();
        let next = page.last().filter(|_| more).map(|last| BASE64URL_NOPAD.encode(key(last).as_bytes()));
        Ok(Self { items: page, next })
    }

    /// The same page of other items.
    pub fn map<U>(self, make: impl FnMut(T) -> Result<U, DeskError>) -> Result<Page<U>, DeskError> {
        Ok(Page { items: self.items.into_iter().map(make).collect::<Result<_, _>>()?, next: self.next })
    }
}

/// How many items a page has.
pub(super) fn size(limit: Option<usize>, most: usize) -> usize {
    limit.unwrap_or(USUAL).clamp(1, most.max(1))
}

/// The text of a cursor.
pub(super) fn read(cursor: &str) -> Result<String, DeskError> {
    let sound = Some(cursor).filter(|cursor| cursor.len() <= CURSOR_BYTES);
    let bytes = sound.and_then(|cursor| BASE64URL_NOPAD.decode(cursor.as_bytes()).ok());
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| {
        DeskError::invalid("the cursor is not one of ours; pass what an earlier answer had as `next`, unchanged")
    })
}

/// A cursor with a text.
pub(super) fn cursor(text: &str) -> String {
    BASE64URL_NOPAD.encode(text.as_bytes())
}

/// A text for a time, which sorts the newest first.
pub(super) fn newest_first(time: Millis) -> String {
    format!("{:020}", (!time).cast_unsigned() ^ (1 << 63))
}

/// The time of a text that begins with what [`newest_first`] made.
pub(super) fn time_of(text: &str) -> Option<Millis> {
    let number: u64 = text.get(..20)?.parse().ok()?;
    Some(!(number ^ (1 << 63)).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(items: &[&str], cursor: Option<&str>) -> Page<String> {
        let items = items.iter().map(ToString::to_string);
        Page::of(items, String::clone, cursor, Some(2), 10).unwrap()
    }

    #[test]
    fn pages_go_on_where_the_last_ended_whatever_changes_meanwhile() {
        let first = page(&["a", "c", "e", "g"], None);
        assert_eq!(first.items, ["a", "c"]);
        // One that was told is gone, and one comes before it.
        let second = page(&["a", "b", "e", "g"], first.next.as_deref());
        assert_eq!((second.items, second.next), (vec!["e".to_owned(), "g".to_owned()], None));
    }

    #[test]
    fn no_page_is_longer_than_it_may_be_and_a_forged_cursor_is_refused() {
        let all = Page::of(["a", "b", "c"].map(str::to_owned), String::clone, None, Some(1_000), 2).unwrap();
        assert_eq!((all.items.len(), all.next.is_some()), (2, true));
        let none = Page::of(["a"].map(str::to_owned), String::clone, Some("%%"), None, 2);
        assert!(none.unwrap_err().to_string().contains("not one of ours"));
    }

    #[test]
    fn the_newest_time_sorts_first() {
        let times = [i64::MAX, 1_700_000_000_000, 1, 0, -1, i64::MIN];
        assert!(times.map(newest_first).is_sorted());
        assert!(times.into_iter().all(|time| time_of(&format!("{} x", newest_first(time))) == Some(time)));
    }
}
