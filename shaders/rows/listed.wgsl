// What the device knows of a list: the size of the update's dispatch, and how many rows count. `Listed` in src/gpu/rows.rs.

struct Listed {
    x: u32,
    y: u32,
    z: u32,
    count: u32,
}
