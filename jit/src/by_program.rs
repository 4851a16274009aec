//! What is known about each program, by its number: programs are numbered from 0.

/// One entry for each program of which something is known; a look is an index, for it is taken in every turn of an actor.
#[derive(Debug)]
pub(crate) struct ByProgram<T>(Vec<Option<T>>);

impl<T> Default for ByProgram<T> {
    fn default() -> ByProgram<T> {
        ByProgram(Vec::new())
    }
}

impl<T> ByProgram<T> {
    /// What is known of a program.
    #[inline]
    pub(crate) fn get(&self, program: u32) -> Option<&T> {
        self.0.get(program as usize)?.as_ref()
    }

    /// The same, to be changed.
    #[inline]
    pub(crate) fn get_mut(&mut self, program: u32) -> Option<&mut T> {
        self.0.get_mut(program as usize)?.as_mut()
    }

    /// The same, made where it is missing.
    #[inline]
    pub(crate) fn get_or_insert_with(&mut self, program: u32, new: impl FnOnce() -> T) -> &mut T {
        let place = program as usize;
        if !matches!(self.0.get(place), Some(Some(_))) {
            self.insert(place, new());
        }
        match &mut self.0[place] {
            Some(known) => known,
            None => unreachable!("it was made where it was missing"),
        }
    }

    #[inline(never)]
    fn insert(&mut self, place: usize, known: T) {
        if place >= self.0.len() {
            self.0.resize_with(place + 1, || None);
        }
        self.0[place] = Some(known);
    }

    /// All that is known, by rising number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> + Clone {
        let all = (0..).zip(&self.0);
        all.filter_map(|(program, known)| Some((program, known.as_ref()?)))
    }

    /// Nothing is known any more.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
