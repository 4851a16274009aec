//! The constant and link tables of a function while its text is read or planned: entries appended as
//! they are, or found when they are already there.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::builder::{ConstantKey, constant_key};
use crate::program::{Constant, Link};

#[derive(Default)]
pub(super) struct Tables {
    pub(super) constants: Vec<Constant>,
    pub(super) links: Vec<Link>,
    constant_index: BTreeMap<ConstantKey, u32>,
    link_index: BTreeMap<Link, u32>,
}

impl Tables {
    /// Appends a constant, even when there is an equal one.
    pub(super) fn push_constant(&mut self, constant: Constant) {
        let number = self.constants.len() as u32;
        self.constant_index
            .entry(constant_key(&constant))
            .or_insert(number);
        self.constants.push(constant);
    }

    /// Appends a link, even when there is an equal one.
    pub(super) fn push_link(&mut self, link: Link) {
        let number = self.links.len() as u32;
        self.link_index.entry(link).or_insert(number);
        self.links.push(link);
    }

    /// The first equal constant, appended if there is none.
    pub(super) fn constant(&mut self, constant: Constant) -> u32 {
        let number = self.constants.len() as u32;
        match self.constant_index.entry(constant_key(&constant)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(free) => {
                free.insert(number);
                self.constants.push(constant);
                number
            }
        }
    }

    /// The first equal link, appended if there is none.
    pub(super) fn link(&mut self, link: Link) -> u32 {
        let number = self.links.len() as u32;
        let found = *self.link_index.entry(link).or_insert(number);
        if found == number {
            self.links.push(link);
        }
        found
    }

    /// The first equal constant.
    pub(super) fn find_constant(&self, constant: &Constant) -> Option<u32> {
        self.constant_index.get(&constant_key(constant)).copied()
    }
}
