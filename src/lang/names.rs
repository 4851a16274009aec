//! Interned names: the front end compares and indexes names by number.

use std::collections::BTreeMap;
use std::rc::Rc;

/// The number of a name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct NameId(pub(crate) u32);

/// All names of one compilation.
#[derive(Debug, Default)]
pub(crate) struct Names {
    texts: Vec<Rc<str>>,
    numbers: BTreeMap<Rc<str>, NameId>,
}

impl Names {
    /// The number of a name; equal names get equal numbers.
    pub(crate) fn intern(&mut self, text: &str) -> NameId {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = NameId(self.texts.len() as u32);
        let text: Rc<str> = Rc::from(text);
        self.texts.push(Rc::clone(&text));
        self.numbers.insert(text, number);
        number
    }

    /// The number of a name that was interned before.
    pub(crate) fn find(&self, text: &str) -> Option<NameId> {
        self.numbers.get(text).copied()
    }

    /// The name with this number.
    pub(crate) fn text(&self, name: NameId) -> &Rc<str> {
        &self.texts[name.0 as usize]
    }

    /// How many names there are.
    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }
}
