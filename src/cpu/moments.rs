//! The state of one tensor on the CPU.

use crate::config::rule::Memory;

/// What is remembered of one tensor. What its rule has not is empty.
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    pub m: Vec<f32>,
    pub v: Vec<f32>,
    pub v_max: Vec<f32>,
    /// The f32 of which a 16-bit param is the rounding; of a remainder any number with these lower bits.
    pub master: Vec<f32>,
}

impl Moments {
    /// The numbers that are stored there, or of scales those that they scale.
    pub fn of(&self, memory: Memory) -> &Vec<f32> {
        match memory {
            Memory::M | Memory::MScale => &self.m,
            Memory::V | Memory::VScale => &self.v,
            Memory::VMax | Memory::VMaxScale => &self.v_max,
            Memory::Master | Memory::Remainder => &self.master,
        }
    }

    pub fn of_mut(&mut self, memory: Memory) -> &mut Vec<f32> {
        match memory {
            Memory::M | Memory::MScale => &mut self.m,
            Memory::V | Memory::VScale => &mut self.v,
            Memory::VMax | Memory::VMaxScale => &mut self.v_max,
            Memory::Master | Memory::Remainder => &mut self.master,
        }
    }
}
