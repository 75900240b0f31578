//! Structs that the host shares with a shader.

/// Defines a struct with the same layout as a struct in a shader. A test uses `FIELDS` to compare the two field by
/// field.
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
