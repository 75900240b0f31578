//! Structs that a shader has too.

/// Defines a struct whose layout is that of the struct of the same name in a shader. A test compares the two field by field,
/// by the list `FIELDS`.
macro_rules! mirror {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty),* $(,)?
    }) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
        $vis struct $name {
            $($(#[$field_meta])* $field_vis $field: $type),*
        }

        impl $name {
            /// Name, type and offset of each field.
            #[allow(dead_code, reason = "outside the tests, only some structs need it")]
            pub const FIELDS: &'static [(&'static str, &'static str, usize)] =
                &[$((stringify!($field), stringify!($type), std::mem::offset_of!($name, $field))),*];
        }
    };
}

pub(crate) use mirror;
