//! Objects made by embedders: the checks that instructions get from the verifier happen here.

use pw_isa::ErrorKind;

use super::Arena;
use crate::code_space::CodeSpace;
use crate::value::Value;

impl Arena {
    /// A new Vector of these values.
    pub fn new_vector_of(&mut self, values: &[Value]) -> Value {
        let elements = Arena::common_elements(values.iter().copied());
        let length = values.len() as u32;
        let vector = self.new_vector(elements, length, length);
        for (place, value) in (0..length).zip(values) {
            self.vector_set(vector.bits, place, *value);
        }
        vector
    }

    /// A new Error of kind `Error` without values.
    pub fn new_plain_error(&mut self, message: &str) -> Value {
        let message = self.new_text(pw_isa::Kind::String, message);
        self.new_error(ErrorKind::Error, message, Value::NIL)
    }

    /// A new Capability.
    pub fn new_named_capability(&mut self, name: &str, parameter: Value) -> Value {
        let name = self.new_text(pw_isa::Kind::Symbol, name);
        self.new_capability(name, parameter)
    }

    /// A new function value; `None` when there is no such function or it does not capture as many
    /// values.
    pub fn new_function(
        &mut self,
        code: &CodeSpace,
        program: u32,
        function: u32,
        captured: &[Value],
    ) -> Option<Value> {
        if program >= code.len() {
            return None;
        }
        let functions = &code.program(program).program().functions;
        let captures = functions.get(function as usize)?.captures;
        (usize::from(captures) == captured.len())
            .then(|| self.new_closure(program, function, captured.iter().copied()))
    }
}
